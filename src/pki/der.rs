//! DER (X.690), a value at a time: for what no parser here takes apart as it is needed.

use std::time::SystemTime;

use x509_parser::asn1_rs::{Any, Class, FromDer as _, GeneralizedTime, Tag};
use x509_parser::time::ASN1Time;

use super::certificate::moment;

/// DER that is read from the front.
#[derive(Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub const fn new(der: &'a [u8]) -> Self {
        Self(der)
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn any(&mut self) -> Option<Any<'a>> {
        let (rest, any) = Any::from_der(self.0).ok()?;
        self.0 = rest;
        Some(any)
    }

    /// All bytes of the next value, its header included.
    pub fn whole(&mut self) -> Option<&'a [u8]> {
        let before = self.0;
        self.any()?;
        before.get(..before.len().checked_sub(self.0.len())?)
    }

    /// The next value if it is of the type `tag`; else nothing is taken.
    pub fn next(&mut self, tag: Tag) -> Option<Any<'a>> {
        self.next_of(Class::Universal, tag)
    }

    /// What the next value holds if it is the one with the number `tag` in its context; else nothing is taken.
    pub fn tagged(&mut self, tag: u32) -> Option<Self> {
        self.next_of(Class::ContextSpecific, Tag(tag)).map(|any| Self(any.data))
    }

    fn next_of(&mut self, class: Class, tag: Tag) -> Option<Any<'a>> {
        let mut ahead = *self;
        let any = ahead.any().filter(|any| any.class() == class && any.tag() == tag)?;
        *self = ahead;
        Some(any)
    }

    pub fn sequence_inside(&mut self) -> Option<Self> {
        self.next(Tag::Sequence).map(|any| Self(any.data))
    }

    /// The content of the one sequence that this is.
    pub fn sequence(mut self) -> Option<Self> {
        let inside = self.sequence_inside()?;
        self.is_empty().then_some(inside)
    }

    pub fn time(&mut self) -> Option<SystemTime> {
        let time = self.next(Tag::GeneralizedTime)?;
        let time = GeneralizedTime::from_bytes(time.data).ok()?.utc_datetime().ok()?;
        Some(moment(ASN1Time::new(time)))
    }
}
