//! What all views share: open enums, lists, maps, and the two macros that make views of tables.

use std::marker::PhantomData;

use serde_json::{Map, Value};

use super::table::{Item, Row};

/// The members of a JSON object, in their order.
pub type Object = Map<String, Value>;

/// A view of one object.
pub trait Message<'e>: Copy {
    /// The view of `object`, whatever is in it.
    fn over(object: &'e Object) -> Self;

    /// Its table.
    #[doc(hidden)]
    fn rows() -> &'static [Row];
}

/// An enum of LiveKit's.
pub trait Names: Copy + 'static {
    /// The value that is left out of JSON.
    const ZERO: Self;
    /// Names with their numbers.
    const NAMES: &'static [(&'static str, i64)];

    /// The value of a number we know.
    fn from_number(number: i64) -> Option<Self>;
}

/// A value of an enum that may be newer than we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open<'e, T> {
    /// One we know.
    Known(T),
    /// A name we do not know.
    Name(&'e str),
    /// A number we do not know: what LiveKit writes when it does not know the name itself.
    Number(i64),
}

/// The items of a list, in order. What does not fit is passed over.
#[derive(Clone, Debug)]
pub struct Items<'e, T> {
    rest: std::slice::Iter<'e, Value>,
    of: PhantomData<T>,
}

/// Texts by name, such as a participant's attributes.
#[derive(Clone, Copy, Debug)]
pub struct Texts<'e> {
    object: &'e Object,
}

// === impl Open ===

impl<'e, T: Names> Open<'e, T> {
    /// The value, when it is one we know.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Name(_) | Self::Number(_) => None,
        }
    }

    pub(super) fn of(value: &'e Value) -> Option<Self> {
        match value {
            Value::String(name) => {
                let number = T::NAMES.iter().find(|(known, _)| known == name);
                let known = number.and_then(|(_, number)| T::from_number(*number));
                Some(known.map_or(Self::Name(name), Self::Known))
            }
            Value::Number(number) => {
                let number = number.as_i64()?;
                Some(T::from_number(number).map_or(Self::Number(number), Self::Known))
            }
            _ => None,
        }
    }
}

impl<T: PartialEq> PartialEq<T> for Open<'_, T> {
    fn eq(&self, other: &T) -> bool {
        matches!(self, Self::Known(value) if value == other)
    }
}

// === impl Items ===

impl<'e, T> Items<'e, T> {
    pub(super) fn over(value: Option<&'e Value>) -> Self {
        let items = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Self { rest: items.iter(), of: PhantomData }
    }
}

impl<'e, T: Item<'e>> Iterator for Items<'e, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.rest.by_ref().find_map(T::of)
    }
}

// === impl Texts ===

impl<'e> Texts<'e> {
    pub(super) fn over(object: &'e Object) -> Self {
        Self { object }
    }

    /// The text of this name.
    pub fn get(self, name: &str) -> Option<&'e str> {
        self.object.get(name)?.as_str()
    }

    /// Names and texts. What is no text is passed over.
    pub fn iter(self) -> impl Iterator<Item = (&'e str, &'e str)> {
        self.object.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
    }
}

/// Declares views, each by a table: `getter: Type = "camelCase"`. The getter's name is the
/// snake_case one.
macro_rules! messages {
    ($(
        $(#[$doc:meta])*
        $message:ident {
            $($(#[$field_doc:meta])* $field:ident: $type:ty = $camel:literal,)*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $message<'e> {
            object: &'e $crate::event::view::Object,
        }

        impl<'e> $message<'e> {
            $(
                $(#[$field_doc])*
                pub fn $field(self) -> $type {
                    $crate::event::table::Field::read($crate::event::table::find(
                        self.object,
                        ($camel, stringify!($field)),
                    ))
                }
            )*

            /// The object itself, with the members that have no getter.
            pub fn object(self) -> &'e $crate::event::view::Object {
                self.object
            }
        }

        impl<'e> $crate::event::view::Message<'e> for $message<'e> {
            fn over(object: &'e $crate::event::view::Object) -> Self {
                Self { object }
            }

            fn rows() -> &'static [$crate::event::table::Row] {
                const {
                    &[$($crate::event::table::Row {
                        camel: $camel,
                        snake: stringify!($field),
                        shape: <$type as $crate::event::table::Field<'e>>::SHAPE,
                    },)*]
                }
            }
        }
    )*};
}

/// Declares enums: `Variant = "NAME" number`, the zero first.
macro_rules! enums {
    ($(
        $(#[$doc:meta])*
        $name:ident {
            $($(#[$variant_doc:meta])* $variant:ident = $text:literal $number:literal,)*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* #[doc = concat!("`", $text, "`.")] $variant = $number,)*
        }

        impl $crate::event::view::Names for $name {
            const ZERO: Self = [$(Self::$variant),*][0];
            const NAMES: &'static [(&'static str, i64)] = &[$(($text, $number)),*];

            fn from_number(number: i64) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    )*};
}

pub(super) use {enums, messages};
