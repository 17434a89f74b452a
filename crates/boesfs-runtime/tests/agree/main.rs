//! Every engine gives the same answers: on the conformance corpus, and on random policies and requests.

mod case;
mod conformance;
mod engines;
mod random;
mod rights;
mod subjects;
