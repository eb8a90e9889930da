//! The environment, without a WASI target.
//!
//! Rust's `std` for `wasm32-unknown-unknown` has no environment, but Envoy offers WASI's two
//! functions to every module. Importing them here keeps the faster target, and its tool chain
//! without a C library. Envoy fills in what `vm_config.environment_variables` names.

#![expect(unsafe_code, reason = "imports two functions of WASI preview 1")]

/// Largest environment that is read, in bytes, and in variables.
const BYTES_MAX: usize = 1024 * 1024;
const VARIABLES_MAX: usize = 1024;

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    /// Writes how many variables there are and how many bytes they take, zeros included.
    safe fn environ_sizes_get(variables: &mut usize, bytes: &mut usize) -> u16;
    /// Writes `NAME=value` texts, each ended by a zero, and a pointer to each.
    fn environ_get(pointers: *mut *mut u8, texts: *mut u8) -> u16;
}

/// Every `NAME=value` of this VM. Empty when there are none or they cannot be read.
pub fn variables() -> Vec<String> {
    let (mut variables, mut bytes) = (0, 0);
    if environ_sizes_get(&mut variables, &mut bytes) != 0
        || variables > VARIABLES_MAX
        || bytes > BYTES_MAX
    {
        return Vec::new();
    }
    let mut pointers = vec![std::ptr::null_mut(); variables];
    let mut texts = vec![0; bytes];
    // SAFETY: both areas have the sizes that `environ_sizes_get` asked for; the environment of a
    // VM does not change, and the pointers are not used after it.
    let status = unsafe { environ_get(pointers.as_mut_ptr(), texts.as_mut_ptr()) };
    if status != 0 {
        return Vec::new();
    }
    let texts = texts.split(|byte| *byte == 0).filter(|text| !text.is_empty());
    texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}
