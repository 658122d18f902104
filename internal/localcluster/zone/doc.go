// Package zone is a small DNS server for an instance: people who have no domain at hand
// can write the records of one into a file, and Berth's proofs find them.
//
// It answers with authority for the names of one zone file in the standard format and says
// NXDOMAIN to all others; it asks nobody else. The file is read again when it changed. A
// file that cannot be read in full changes nothing: the last good content is served on and
// the log says what is wrong with the new one.
//
// A name that has no records of its own is answered by the closest wildcard above it. A
// CNAME is followed within the file.
//
// It imports no room. internal/localcluster runs it; what plays the owner of a domain, such as
// the example shop and the scenarios, sets records with Set.
package zone
