//! Strict reading of a request body's members.
//!
//! A member of the wrong JSON type is a `SerializationException` at once; values that break the model's
//! constraints are collected, so that one `ValidationException` names them all; what is refused by other
//! rules comes after both. A reader returns a placeholder for a bad value: `parse` never lets a request
//! with a violation out.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::Fault;
use super::validation::{
    self, BlobLimits, EnumValues, IntegerLimits, ListLimits, OneOf, StringLimits,
};
use crate::clock::Timestamp;

/// The input of an operation.
pub(crate) trait Request: Sized {
    /// Takes every member that the operation knows; unknown members are ignored, as AWS ignores them.
    fn read(members: &mut Members) -> Result<Self, Fault>;

    /// Reads a request body.
    ///
    /// # Errors
    /// `SerializationException` for what is not a JSON object of the right types, `ValidationException`
    /// that names every broken constraint.
    fn parse(body: &[u8]) -> Result<Self, Fault> {
        let mut members = Members::of_body(body)?;
        let request = Self::read(&mut members)?;
        members.finish()?;
        Ok(request)
    }
}

/// The members of one JSON object, each taken once.
#[derive(Debug)]
pub(crate) struct Members {
    object: Map<String, Value>,
    /// Where this object lies in the request: empty, or for example `tags.1.member.`.
    prefix: String,
    violations: Vec<String>,
    /// What the request is refused for if it fits the model; the first counts.
    refusal: Option<Fault>,
}

impl Members {
    fn of_body(body: &[u8]) -> Result<Self, Fault> {
        // AWS takes an empty body for an empty object. `serde_json` bounds the depth at 128.
        let value = match body {
            [] => Value::Object(Map::new()),
            _ => serde_json::from_slice(body)
                .map_err(|error| Fault::serialization("").because(error))?,
        };
        match value {
            Value::Object(object) => {
                Ok(Self { object, prefix: String::new(), violations: Vec::new(), refusal: None })
            }
            _ => Err(Fault::serialization("Unexpected token received from parser")),
        }
    }

    fn finish(self) -> Result<(), Fault> {
        if !self.violations.is_empty() {
            return Err(Fault::validation(validation::summary(&self.violations)));
        }
        self.refusal.map_or(Ok(()), Err)
    }

    /// Refuses the request for something other than a constraint of the model, once it is known to fit
    /// the model.
    pub(crate) fn refuse(&mut self, fault: Fault) {
        self.refusal.get_or_insert(fault);
    }

    /// A string that must be there.
    pub(crate) fn string(&mut self, name: &str, limits: &StringLimits) -> Result<String, Fault> {
        let value = self.optional_string(name, limits)?;
        Ok(self.require(name, value))
    }

    /// A string that may be absent.
    pub(crate) fn optional_string(
        &mut self,
        name: &str,
        limits: &StringLimits,
    ) -> Result<Option<String>, Fault> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let text = into_string(value)?;
        limits.check(&self.path(name), &text, &mut self.violations);
        Ok(Some(text))
    }

    /// A blob that must be there: base64 on the wire, zeroised when dropped.
    pub(crate) fn blob(
        &mut self,
        name: &str,
        limits: &BlobLimits,
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let value = self.optional_blob(name, limits)?;
        Ok(self.require(name, value))
    }

    /// A blob that may be absent.
    pub(crate) fn optional_blob(
        &mut self,
        name: &str,
        limits: &BlobLimits,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let text = Zeroizing::new(into_string(value)?);
        let bytes = STANDARD
            .decode(text.as_bytes())
            .map(Zeroizing::new)
            .map_err(|error| Fault::serialization("").because(error))?;
        limits.check(&self.path(name), bytes.len(), &mut self.violations);
        Ok(Some(bytes))
    }

    /// An integer that may be absent.
    pub(crate) fn optional_integer(
        &mut self,
        name: &str,
        limits: &IntegerLimits,
    ) -> Result<Option<u32>, Fault> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = match &value {
            Value::Number(number) => number.as_i64().ok_or_else(|| {
                Fault::serialization("class java.lang.Double can not be converted to an Integer")
            })?,
            other => return Err(mistyped(other, "an Integer")),
        };
        Ok(Some(limits.check(&self.path(name), number, &mut self.violations)))
    }

    /// A date that may be absent: seconds since the epoch, with a fraction or without.
    pub(crate) fn optional_timestamp(&mut self, name: &str) -> Result<Option<Timestamp>, Fault> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Number(seconds)) => Ok(seconds.as_f64().map(Timestamp::from_seconds)),
            Some(other) => Err(mistyped(&other, "a Timestamp")),
        }
    }

    /// A boolean that may be absent.
    pub(crate) fn optional_boolean(&mut self, name: &str) -> Result<Option<bool>, Fault> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(mistyped(&other, "a Boolean")),
        }
    }

    /// One of a set of names, that may be absent.
    pub(crate) fn optional_enum<E: EnumValues>(&mut self, name: &str) -> Result<Option<E>, Fault> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let text = into_string(value)?;
        let found = E::from_wire(&text);
        if found.is_none() {
            self.violations.push(E::breach(&self.path(name), &text));
        }
        Ok(found)
    }

    /// One of a set of names, that must be there.
    pub(crate) fn required_enum<E: EnumValues>(&mut self, name: &str) -> Result<E, Fault> {
        let Some((_, placeholder)) = E::VALUES.first() else {
            return Err(Fault::internal("an enum without values"));
        };
        if self.object.get(name).is_none_or(Value::is_null) {
            self.violations.push(validation::absent(&self.path(name)));
        }
        Ok(self.optional_enum(name)?.unwrap_or(*placeholder))
    }

    /// A list of strings that may be absent.
    pub(crate) fn optional_strings(
        &mut self,
        name: &str,
        list: &ListLimits,
        each: &StringLimits,
    ) -> Result<Option<Vec<String>>, Fault> {
        let Some(items) = self.take_list(name)? else { return Ok(None) };
        let strings = items.into_iter().map(into_string).collect::<Result<Vec<String>, Fault>>()?;
        list.check_items(&self.path(name), &strings, each, &mut self.violations);
        Ok(Some(strings))
    }

    /// A list of names of a set, that may be absent.
    pub(crate) fn optional_enums<E: EnumValues>(
        &mut self,
        name: &str,
        list: &ListLimits,
    ) -> Result<Option<Vec<E>>, Fault> {
        let Some(items) = self.take_list(name)? else { return Ok(None) };
        let names = items.into_iter().map(into_string).collect::<Result<Vec<String>, Fault>>()?;
        list.check_items(&self.path(name), &names, &OneOf::<E>(PhantomData), &mut self.violations);
        Ok(Some(names.iter().filter_map(|name| E::from_wire(name)).collect()))
    }

    /// A list of structures that may be absent, each read by `read`.
    pub(crate) fn optional_structures<T>(
        &mut self,
        name: &str,
        list: &ListLimits,
        read: impl Fn(&mut Members) -> Result<T, Fault>,
    ) -> Result<Option<Vec<T>>, Fault> {
        let Some(items) = self.take_list(name)? else { return Ok(None) };
        list.check(&self.path(name), items.len(), &mut self.violations);
        let mut structures = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let prefix = format!("{}.", self.item_path(name, index));
            structures.push(self.nested(prefix, item, &read)?);
        }
        Ok(Some(structures))
    }

    /// A map of strings to strings that may be absent; of a name given twice the last counts.
    pub(crate) fn optional_string_map(
        &mut self,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, Fault> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(object)) => object
                .into_iter()
                .map(|(key, value)| Ok((key, into_string(value)?)))
                .collect::<Result<_, Fault>>()
                .map(Some),
            Some(other) => Err(mistyped(&other, "a Map")),
        }
    }

    /// A structure that may be absent, read by `read`.
    pub(crate) fn optional_structure<T>(
        &mut self,
        name: &str,
        read: impl Fn(&mut Members) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let Some(item) = self.take(name) else { return Ok(None) };
        let prefix = format!("{}.", self.path(name));
        self.nested(prefix, item, &read).map(Some)
    }

    /// A map of strings to lists of strings that may be absent; both are as long as `limits` allows.
    pub(crate) fn optional_string_lists(
        &mut self,
        name: &str,
        limits: &ListLimits,
    ) -> Result<Option<BTreeMap<String, Vec<String>>>, Fault> {
        let object = match self.take(name) {
            None => return Ok(None),
            Some(Value::Object(object)) => object,
            Some(other) => return Err(mistyped(&other, "a Map")),
        };
        limits.check(&self.path(name), object.len(), &mut self.violations);
        let mut lists = BTreeMap::new();
        for (key, value) in object {
            let Value::Array(items) = value else { return Err(mistyped(&value, "a List")) };
            limits.check(&self.path(name), items.len(), &mut self.violations);
            let strings: Result<_, Fault> = items.into_iter().map(into_string).collect();
            lists.insert(key, strings?);
        }
        Ok(Some(lists))
    }

    /// Records that a list or structure that must be there is absent.
    pub(crate) fn require<T: Default>(&mut self, name: &str, value: Option<T>) -> T {
        if value.is_none() {
            self.violations.push(validation::absent(&self.path(name)));
        }
        value.unwrap_or_default()
    }

    fn nested<T>(
        &mut self,
        prefix: String,
        item: Value,
        read: &impl Fn(&mut Members) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let Value::Object(object) = item else { return Err(mistyped(&item, "a Structure")) };
        let (violations, refusal) = (std::mem::take(&mut self.violations), self.refusal.take());
        let mut inner = Members { object, prefix, violations, refusal };
        let structure = read(&mut inner);
        (self.violations, self.refusal) = (inner.violations, inner.refusal);
        structure
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        // `swap_remove` keeps no order, which nobody asks for after this; null means absent.
        self.object.swap_remove(name).filter(|value| !value.is_null())
    }

    fn take_list(&mut self, name: &str) -> Result<Option<Vec<Value>>, Fault> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(mistyped(&other, "a List")),
        }
    }

    /// AWS names a member in a message with a lower-case first letter.
    fn path(&self, name: &str) -> String {
        let mut letters = name.chars();
        let first = letters.next().map(|letter| letter.to_ascii_lowercase());
        format!(
            "{}{}{}",
            self.prefix,
            first.map(String::from).unwrap_or_default(),
            letters.as_str()
        )
    }

    fn item_path(&self, name: &str, index: usize) -> String {
        format!("{}.{}.member", self.path(name), index.saturating_add(1))
    }
}

fn into_string(value: Value) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(mistyped(&other, "a String")),
    }
}

fn mistyped(found: &Value, wanted: &str) -> Fault {
    let token = match found {
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => {
            return Fault::serialization("Start of list found where not expected");
        }
        Value::Object(_) => {
            return Fault::serialization("Start of structure or map found where not expected.");
        }
    };
    Fault::serialization(format!("{token} can not be converted to {wanted}"))
}
