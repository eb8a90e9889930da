//! The attributes of livekit-webhook-plugin. Documented there.
//!
//! Each leaves the function as it is, so that it can be called natively, and adds the export for
//! wasm: a type that implements the interface's generated trait and the SDK's own `export_…!` macro
//! for it.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, Type, parse_macro_input};

/// Decides whether an event goes on: `fn(&Event) -> bool` or a `Result` of it.
#[proc_macro_attribute]
pub fn filter(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand(attribute, item, Kind::Filter)
}

/// Puts none, one or several events in the place of one: `fn(Event) -> Option<Event>`, `fn(&Event)
/// -> Vec<Draft>`, …
#[proc_macro_attribute]
pub fn transform(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand(attribute, item, Kind::Transform)
}

/// Chooses endpoints: `fn(&Event) -> Vec<String>`, `Option<&'static str>`, …
#[proc_macro_attribute]
pub fn route(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand(attribute, item, Kind::Route)
}

/// Adds attributes: `fn(&Event) -> Vec<(String, String)>`, …
#[proc_macro_attribute]
pub fn enrich(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand(attribute, item, Kind::Enrich)
}

/// Does something: `fn(&Event)` or `fn(&Event, &[u8]) -> Vec<u8>`, …
#[proc_macro_attribute]
pub fn action(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand(attribute, item, Kind::Action)
}

/// Checks the configuration when the plugin is loaded: `fn(T)` or `fn(&T)`, with a `Result<(), _>`
/// or nothing to return, where `T` can be deserialised.
#[proc_macro_attribute]
pub fn configure(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand(attribute, item, Kind::Configure)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Filter,
    Transform,
    Route,
    Enrich,
    Action,
    Configure,
}

fn expand(attribute: TokenStream, item: TokenStream, kind: Kind) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    let attribute = Tokens::from(attribute);
    let checked = if attribute.is_empty() {
        export(&function, kind)
    } else {
        Err(Error::new(attribute.span(), "this attribute takes no arguments"))
    };
    match checked {
        Ok(export) => quote!(#function #export).into(),
        Err(error) => {
            let error = error.to_compile_error();
            quote!(#function #error).into()
        }
    }
}

fn export(function: &ItemFn, kind: Kind) -> Result<Tokens, Error> {
    let signature = &function.sig;
    let plain = signature.asyncness.is_none()
        && signature.unsafety.is_none()
        && signature.generics.params.is_empty();
    if !plain {
        let text = "a plugin's function must be neither async nor unsafe nor generic";
        return Err(Error::new(signature.span(), text));
    }
    let types = argument_types(function)?;
    let (module, implementation) = match (kind, types.as_slice()) {
        (Kind::Configure, [config]) => configured(function, config),
        (Kind::Action, [event]) => action_of(function, event, false),
        (Kind::Action, [event, input]) if is_reference(input) => action_of(function, event, true),
        (_, [event]) => one_event(function, event, kind),
        _ => {
            let text = match kind {
                Kind::Configure => "expected one argument: the configuration",
                Kind::Action => "expected `event: &Event`, or `event: &Event, input: &[u8]`",
                _ => "expected one argument: `event: &Event` or `event: Event`",
            };
            return Err(Error::new(signature.inputs.span(), text));
        }
    };
    let path = quote!(::livekit_webhook_plugin::__private::#module);
    let macro_name = syn::Ident::new(&format!("export_{module}"), module.span());
    let name = &signature.ident;
    Ok(quote! {
        // Natively nothing else may use it; this keeps the compiler from calling it dead.
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            let _ = #name;
        };
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Exported;
            #implementation
            #path::#macro_name!(Exported with_types_in #path);
        };
    })
}

fn argument_types(function: &ItemFn) -> Result<Vec<&Type>, Error> {
    let inputs = function.sig.inputs.iter();
    inputs
        .map(|input| match input {
            FnArg::Typed(typed) => Ok(&*typed.ty),
            FnArg::Receiver(receiver) => {
                Err(Error::new(receiver.span(), "a plugin's function has no `self`"))
            }
        })
        .collect()
}

fn is_reference(ty: &Type) -> bool {
    matches!(ty, Type::Reference(_))
}

/// `value` as the function wants it: lent, lent to be changed, or given.
fn passed(ty: &Type, value: &Tokens) -> Tokens {
    match ty {
        Type::Reference(reference) if reference.mutability.is_some() => quote!(&mut #value),
        Type::Reference(_) => quote!(&#value),
        _ => quote!(#value),
    }
}

fn one_event(function: &ItemFn, event: &Type, kind: Kind) -> (syn::Ident, Tokens) {
    let name = &function.sig.ident;
    let event = passed(event, &quote!(event));
    let (module, method, result, conversion) = match kind {
        Kind::Filter => ("filter", quote!(accept), quote!(bool), quote!(IntoVerdict::into_verdict)),
        Kind::Route => (
            "route",
            quote!(destinations),
            quote!(::std::vec::Vec<::std::string::String>),
            quote!(IntoDestinations::into_destinations),
        ),
        Kind::Enrich => (
            "enrich",
            quote!(attributes),
            quote!(::std::vec::Vec<(::std::string::String, ::std::string::String)>),
            quote!(IntoAttributes::into_attributes),
        ),
        Kind::Transform | Kind::Action | Kind::Configure => (
            "transform",
            quote!(transform),
            quote!(::std::vec::Vec<types::Draft>),
            quote!(IntoDrafts::into_drafts),
        ),
    };
    let into = if kind == Kind::Transform {
        quote!(Ok(answer?.into_iter().map(::std::convert::Into::into).collect()))
    } else {
        quote!(Ok(answer?))
    };
    let module = syn::Ident::new(module, name.span());
    let guest =
        quote!(::livekit_webhook_plugin::__private::#module::exports::livekit_webhook::plugin);
    let implementation = quote! {
        use ::livekit_webhook_plugin::__private::base::livekit_webhook::plugin::types;
        impl #guest::#module::Guest for Exported {
            fn #method(lent: &types::Event) -> ::std::result::Result<#result, types::Failure> {
                ::livekit_webhook_plugin::__private::install_panic_hook();
                #[allow(unused_mut, reason = "the function may want to change it")]
                let mut event = ::livekit_webhook_plugin::__private::from_host(lent);
                let answer = ::livekit_webhook_plugin::outcome::#conversion(#name(#event));
                #into
            }
        }
    };
    (module, implementation)
}

fn action_of(function: &ItemFn, event: &Type, with_input: bool) -> (syn::Ident, Tokens) {
    let name = &function.sig.ident;
    let event = passed(event, &quote!(event));
    let input = with_input.then(|| quote!(, &input));
    let guest =
        quote!(::livekit_webhook_plugin::__private::action::exports::livekit_webhook::plugin);
    let implementation = quote! {
        use ::livekit_webhook_plugin::__private::base::livekit_webhook::plugin::types;
        impl #guest::action::Guest for Exported {
            fn run(
                lent: &types::Event,
                input: ::std::vec::Vec<u8>,
            ) -> ::std::result::Result<::std::vec::Vec<u8>, types::Failure> {
                ::livekit_webhook_plugin::__private::install_panic_hook();
                let _ = &input;
                #[allow(unused_mut, reason = "the function may want to change it")]
                let mut event = ::livekit_webhook_plugin::__private::from_host(lent);
                let answer = ::livekit_webhook_plugin::outcome::IntoDone::into_done(
                    #name(#event #input),
                );
                Ok(answer?)
            }
        }
    };
    (syn::Ident::new("action", name.span()), implementation)
}

fn configured(function: &ItemFn, config: &Type) -> (syn::Ident, Tokens) {
    let name = &function.sig.ident;
    let owned = match config {
        Type::Reference(reference) => &*reference.elem,
        owned => owned,
    };
    let config = passed(config, &quote!(config));
    let guest =
        quote!(::livekit_webhook_plugin::__private::lifecycle::exports::livekit_webhook::plugin);
    let implementation = quote! {
        impl #guest::lifecycle::Guest for Exported {
            fn configure(
                config: ::std::vec::Vec<u8>,
            ) -> ::std::result::Result<(), ::std::string::String> {
                use ::livekit_webhook_plugin::__private::IntoChecked as _;
                ::livekit_webhook_plugin::__private::install_panic_hook();
                #[allow(unused_mut, reason = "the function may want to change it")]
                let mut config: #owned =
                    ::livekit_webhook_plugin::__private::parse_config(&config)?;
                #name(#config).into_checked()
            }
        }
    };
    (syn::Ident::new("lifecycle", name.span()), implementation)
}
