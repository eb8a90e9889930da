//! A message as a table of its fields.
//!
//! A row says of a field its getter, its type and its name on the wire. From the rows come the
//! getters, which give nothing (or the zero value that LiveKit leaves out) for what is absent or
//! does not fit, and the list that [`super::Event::problems`] walks. Every field is found under its
//! camelCase and its snake_case name.

use serde_json::Value;

use super::view::{Items, Message, Names, Object, Open, Texts};

/// One row of a table.
#[derive(Debug)]
pub struct Row {
    /// camelCase, as LiveKit's webhooks write it.
    pub camel: &'static str,
    /// snake_case, as LiveKit's API writes it.
    pub snake: &'static str,
    /// What it may hold.
    pub shape: Shape,
}

/// What a field may hold.
#[derive(Debug)]
pub enum Shape {
    /// A string.
    Text,
    /// A bool.
    Bool,
    /// An integer of protobuf's type of this name, as a number or in a string.
    Integer(&'static str, i64, i64),
    /// A number.
    Double,
    /// Names with their numbers.
    Enum(&'static [(&'static str, i64)]),
    /// A message.
    Message(fn() -> &'static [Row]),
    /// A list of one shape.
    List(&'static Shape),
    /// Texts by name.
    Texts,
    /// An object that is not looked into.
    Object,
}

/// What a getter may return.
pub trait Field<'e>: Sized {
    /// What the field may hold.
    const SHAPE: Shape;

    /// Of the value as found. `None` and a value that does not fit give the same.
    fn read(value: Option<&'e Value>) -> Self;
}

/// The value under either name; `null` is as good as absent.
pub fn find<'e>(object: &'e Object, row: (&str, &str)) -> Option<&'e Value> {
    let found = object.get(row.0).or_else(|| object.get(row.1));
    found.filter(|value| !value.is_null())
}

/// The integer in a number or in a string.
pub fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

// === impl Field ===

impl<'e> Field<'e> for Option<&'e str> {
    const SHAPE: Shape = Shape::Text;

    fn read(value: Option<&'e Value>) -> Self {
        value?.as_str()
    }
}

impl<'e> Field<'e> for bool {
    const SHAPE: Shape = Shape::Bool;

    fn read(value: Option<&'e Value>) -> Self {
        value.and_then(Value::as_bool).unwrap_or_default()
    }
}

impl<'e> Field<'e> for Option<i32> {
    const SHAPE: Shape = Shape::Integer("int32", i32::MIN as i64, i32::MAX as i64);

    fn read(value: Option<&'e Value>) -> Self {
        integer(value?)?.try_into().ok()
    }
}

impl<'e> Field<'e> for Option<u32> {
    const SHAPE: Shape = Shape::Integer("uint32", 0, u32::MAX as i64);

    fn read(value: Option<&'e Value>) -> Self {
        integer(value?)?.try_into().ok()
    }
}

impl<'e> Field<'e> for Option<i64> {
    const SHAPE: Shape = Shape::Integer("int64", i64::MIN, i64::MAX);

    fn read(value: Option<&'e Value>) -> Self {
        integer(value?)
    }
}

impl<'e> Field<'e> for Option<f64> {
    const SHAPE: Shape = Shape::Double;

    fn read(value: Option<&'e Value>) -> Self {
        value?.as_f64()
    }
}

impl<'e, T: Names> Field<'e> for Open<'e, T> {
    const SHAPE: Shape = Shape::Enum(T::NAMES);

    fn read(value: Option<&'e Value>) -> Self {
        value.and_then(Self::of).unwrap_or(Self::Known(T::ZERO))
    }
}

impl<'e> Field<'e> for Option<Texts<'e>> {
    const SHAPE: Shape = Shape::Texts;

    fn read(value: Option<&'e Value>) -> Self {
        Some(Texts::over(value?.as_object()?))
    }
}

impl<'e> Field<'e> for Option<&'e Object> {
    const SHAPE: Shape = Shape::Object;

    fn read(value: Option<&'e Value>) -> Self {
        value?.as_object()
    }
}

impl<'e, T: Message<'e>> Field<'e> for Option<T> {
    const SHAPE: Shape = Shape::Message(T::rows);

    fn read(value: Option<&'e Value>) -> Self {
        Some(T::over(value?.as_object()?))
    }
}

impl<'e, T: Item<'e>> Field<'e> for Items<'e, T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE);

    fn read(value: Option<&'e Value>) -> Self {
        Self::over(value)
    }
}

/// What a list may hold.
pub trait Item<'e>: Sized {
    /// What one item may be.
    const SHAPE: Shape;

    /// One item, or `None` when it does not fit.
    fn of(value: &'e Value) -> Option<Self>;
}

impl<'e> Item<'e> for &'e str {
    const SHAPE: Shape = Shape::Text;

    fn of(value: &'e Value) -> Option<Self> {
        value.as_str()
    }
}

impl<'e, T: Names> Item<'e> for Open<'e, T> {
    const SHAPE: Shape = Shape::Enum(T::NAMES);

    fn of(value: &'e Value) -> Option<Self> {
        Self::of(value)
    }
}

impl<'e, T: Message<'e>> Item<'e> for T {
    const SHAPE: Shape = Shape::Message(T::rows);

    fn of(value: &'e Value) -> Option<Self> {
        value.as_object().map(T::over)
    }
}
