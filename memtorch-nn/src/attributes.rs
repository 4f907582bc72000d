use std::cell::Cell;

use crate::{Attribute, Tensor};

/// The attributes of a node while its operator is made. Each that is read is marked, so that one that
/// nobody knows cannot be ignored by mistake.
#[derive(Debug)]
pub(crate) struct Attributes<'a> {
    list: &'a [(String, Attribute)],
    read: Vec<Cell<bool>>,
}

macro_rules! getter {
    ($name:ident, $variant:ident, $type:ty, $expected:literal) => {
        /// The attribute, if it is there.
        ///
        /// # Errors
        /// A value of another type.
        pub(crate) fn $name(&self, name: &str) -> Result<Option<&'a $type>, String> {
            match self.find(name) {
                None => Ok(None),
                Some(Attribute::$variant(value)) => Ok(Some(value)),
                Some(other) => Err(format!("attribute {name} is {}: expected {}", kind(other), $expected)),
            }
        }
    };
}

impl<'a> Attributes<'a> {
    pub(crate) fn new(list: &'a [(String, Attribute)]) -> Self {
        Self { list, read: vec![Cell::new(false); list.len()] }
    }

    fn find(&self, name: &str) -> Option<&'a Attribute> {
        let at = self.list.iter().position(|(n, _)| n == name)?;
        self.read[at].set(true);
        Some(&self.list[at].1)
    }

    getter!(real_maybe, Real, f32, "a real number");
    getter!(whole_maybe, Whole, i64, "a whole number");
    getter!(text_maybe, Text, String, "text");
    getter!(tensor, Tensor, Tensor, "a tensor");
    getter!(reals, Reals, Vec<f32>, "real numbers");
    getter!(wholes, Wholes, Vec<i64>, "whole numbers");
    getter!(texts, Texts, Vec<String>, "texts");

    /// A real number, or its default.
    pub(crate) fn real(&self, name: &str, default: f32) -> Result<f32, String> {
        Ok(self.real_maybe(name)?.copied().unwrap_or(default))
    }

    /// A whole number, or its default.
    pub(crate) fn whole(&self, name: &str, default: i64) -> Result<i64, String> {
        Ok(self.whole_maybe(name)?.copied().unwrap_or(default))
    }

    /// A number that is 0 or not, or its default.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, String> {
        Ok(self.whole(name, i64::from(default))? != 0)
    }

    /// Text, or its default.
    pub(crate) fn text(&self, name: &str, default: &'a str) -> Result<&'a str, String> {
        Ok(self.text_maybe(name)?.map_or(default, String::as_str))
    }

    /// Whole numbers of at least `low`, if they are there.
    pub(crate) fn sizes(&self, name: &str, low: usize) -> Result<Option<Vec<usize>>, String> {
        let Some(list) = self.wholes(name)? else { return Ok(None) };
        let size = |&n: &i64| usize::try_from(n).ok().filter(|&n| n >= low && n <= u32::MAX as usize);
        let sizes: Option<Vec<usize>> = list.iter().map(size).collect();
        sizes.map(Some).ok_or_else(|| format!("{name} = {list:?}: expected whole numbers of at least {low}"))
    }

    /// Marks an attribute that has no meaning for inference.
    pub(crate) fn ignore(&self, name: &str) {
        self.find(name);
    }

    /// Checks that every attribute was read.
    ///
    /// # Errors
    /// The first that was not.
    pub(crate) fn finish(&self) -> Result<(), String> {
        match self.list.iter().zip(&self.read).find(|(_, read)| !read.get()) {
            Some(((name, _), _)) => Err(format!("attribute {name} is not known")),
            None => Ok(()),
        }
    }
}

fn kind(attribute: &Attribute) -> &'static str {
    match attribute {
        Attribute::Real(_) => "a real number",
        Attribute::Whole(_) => "a whole number",
        Attribute::Text(_) => "text",
        Attribute::Tensor(_) => "a tensor",
        Attribute::Reals(_) => "real numbers",
        Attribute::Wholes(_) => "whole numbers",
        Attribute::Texts(_) => "texts",
        Attribute::Other(what) => what,
    }
}
