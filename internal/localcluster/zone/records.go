package zone

import (
	"bytes"
	"strings"

	"github.com/miekg/dns"
)

// records are those of a zone file by their names, in lower case.
type records map[string][]dns.RR

// longestChain is how many CNAMEs in a row are followed.
const longestChain = 8

// parse reads a zone file. Names without a dot at the end are taken as complete, unless
// $ORIGIN says otherwise; records without a lifetime live for a second, since who edits the
// file wants to see it at once.
func parse(data []byte) (records, error) {
	parser := dns.NewZoneParser(bytes.NewReader(data), ".", "")
	parser.SetDefaultTTL(1)
	out := records{}
	for record, more := parser.Next(); more; record, more = parser.Next() {
		name := dns.CanonicalName(record.Header().Name)
		out[name] = append(out[name], record)
	}
	if err := parser.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

// answer fills in the answer to a question.
func (r records) answer(answer *dns.Msg, question dns.Question) {
	answer.Authoritative = true
	name := dns.CanonicalName(question.Name)
	for range longestChain {
		found, exists := r.find(name)
		if !exists {
			// A CNAME that leads out of the file has been answered; where it leads is not ours.
			if len(answer.Answer) == 0 {
				answer.Rcode = dns.RcodeNameError
			}
			break
		}
		alias := ""
		for _, record := range found {
			cname, isAlias := record.(*dns.CNAME)
			if record.Header().Rrtype == question.Qtype || question.Qtype == dns.TypeANY || isAlias {
				answer.Answer = append(answer.Answer, named(record, name))
			}
			if isAlias && question.Qtype != dns.TypeCNAME && question.Qtype != dns.TypeANY {
				alias = dns.CanonicalName(cname.Target)
			}
		}
		if alias == "" {
			break
		}
		name = alias
	}
	if len(answer.Answer) == 0 {
		answer.Ns = r.authority(name)
	}
}

// find returns the records of a name, its own or else those of the closest wildcard above
// it. A name without records exists when one below it does.
func (r records) find(name string) (found []dns.RR, exists bool) {
	if found, exists = r[name]; exists {
		return found, true
	}
	for other := range r {
		if strings.HasSuffix(other, "."+name) && name != "." {
			return nil, true
		}
	}
	for off, end := dns.NextLabel(name, 0); !end; off, end = dns.NextLabel(name, off) {
		if found, exists = r["*."+name[off:]]; exists {
			return found, true
		}
	}
	return nil, false
}

// authority is the SOA of the zone that a name is in.
func (r records) authority(name string) []dns.RR {
	for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
		for _, record := range r[name[off:]] {
			if record.Header().Rrtype == dns.TypeSOA {
				return []dns.RR{record}
			}
		}
	}
	return nil
}

// named is the record under a name that its wildcard answers for.
func named(record dns.RR, name string) dns.RR {
	if dns.CanonicalName(record.Header().Name) == name {
		return record
	}
	out := dns.Copy(record)
	out.Header().Name = name
	return out
}
