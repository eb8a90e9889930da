use super::*;

async fn run_in(command: Command) -> (ExitCode, String) {
    let mut out = Vec::new();
    let code = run(command, &mut out).await.unwrap();
    (code, String::from_utf8(out).unwrap())
}

/// Packs every core module of `target/wasm/core`, for a developer without the finished command line.
#[tokio::test]
async fn zz_pack() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    for name in ["redact", "slack", "evil"] {
        let module =
            root.join(format!("guests/wasm32-unknown-unknown/guest/livekit_webhook_plugin_{name}.wasm"));
        if !module.exists() { continue; }
        std::fs::create_dir_all(root.join("wasm")).unwrap();
        let output = Some(root.join(format!("wasm/{name}.wasm")));
        let r = run_in(Command::Pack { module, output: output.clone() }).await;
        println!("{r:?}");
        println!("{}", run_in(Command::Check { file: output.unwrap(), config: "{}".into(), json: false }).await.1);
    }
}
