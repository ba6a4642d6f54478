//! What careless and hostile issuers put into files, and what is said about it.

mod against_webpki;
mod bundle_documents;
mod make;
mod paths;
mod pems;
mod svids;
