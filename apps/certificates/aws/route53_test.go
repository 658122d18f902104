package aws_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libdns/libdns"

	"github.com/berth-dev/berth/apps/certificates"
	"github.com/berth-dev/berth/apps/certificates/aws"
)

var _ certificates.Zone = (*aws.Route53)(nil)

const (
	zoneID    = "Z0123456789ABC"
	namespace = "https://route53.amazonaws.com/doc/2013-04-01/"
)

// record is a set of records, as Route 53 writes it.
type record struct {
	Name   string   `xml:"Name"`
	Type   string   `xml:"Type"`
	TTL    int64    `xml:"TTL"`
	Values []string `xml:"ResourceRecords>ResourceRecord>Value"`
}

// service is Route 53's API as far as it is used. It is strict: it refuses what the real
// one refuses.
type service struct {
	t *testing.T

	mu      sync.Mutex
	sets    map[string]record // by name and type
	changes []string
	// refuse makes every change fail with this code.
	refuse string
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{t: t, sets: map[string]record{
		"berth.example. SOA":   {Name: "berth.example.", Type: "SOA", TTL: 900, Values: []string{"ns-1.awsdns-00.com. hostmaster.example. 1 7200 900 1209600 86400"}},
		"www.berth.example. A": {Name: "www.berth.example.", Type: "A", TTL: 60, Values: []string{"192.0.2.1"}},
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2013-04-01/hostedzonesbyname", s.zones)
	mux.HandleFunc("GET /2013-04-01/hostedzone/{id}/rrset", s.list)
	mux.HandleFunc("POST /2013-04-01/hostedzone/{id}/rrset", s.change)
	mux.HandleFunc("POST /2013-04-01/hostedzone/{id}/rrset/{$}", s.change)
	mux.HandleFunc("GET /2013-04-01/change/{id}", s.sync)
	server := httptest.NewServer(s.signed(mux))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL_ROUTE_53", server.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return s
}

func (s *service) signed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") {
			s.fail(w, http.StatusForbidden, "MissingAuthenticationToken")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *service) fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<ErrorResponse xmlns=%q><Error><Type>Sender</Type><Code>%s</Code><Message>no</Message></Error><RequestId>r</RequestId></ErrorResponse>`, namespace, code)
}

func (s *service) answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "text/xml")
	if err := xml.NewEncoder(w).Encode(body); err != nil {
		s.t.Error(err)
	}
}

func (s *service) zones(w http.ResponseWriter, r *http.Request) {
	type zone struct {
		ID     string `xml:"Id"`
		Name   string `xml:"Name"`
		Ref    string `xml:"CallerReference"`
		Config struct {
			PrivateZone bool
		}
	}
	var out struct {
		XMLName     xml.Name `xml:"ListHostedZonesByNameResponse"`
		Zones       []zone   `xml:"HostedZones>HostedZone"`
		IsTruncated bool
		MaxItems    int
	}
	out.MaxItems = 1
	if name := r.URL.Query().Get("dnsname"); name == "berth.example." {
		out.Zones = []zone{{ID: "/hostedzone/" + zoneID, Name: name, Ref: "x"}}
	}
	s.answer(w, out)
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("id") != zoneID {
		s.fail(w, http.StatusNotFound, "NoSuchHostedZone")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out struct {
		XMLName     xml.Name `xml:"ListResourceRecordSetsResponse"`
		Sets        []record `xml:"ResourceRecordSets>ResourceRecordSet"`
		IsTruncated bool
		MaxItems    int
	}
	out.MaxItems = 1000
	for _, set := range s.sets {
		out.Sets = append(out.Sets, set)
	}
	s.answer(w, out)
}

func (s *service) change(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	var in struct {
		XMLName xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ChangeResourceRecordSetsRequest"`
		Changes []struct {
			Action string `xml:"Action"`
			Set    record `xml:"ResourceRecordSet"`
		} `xml:"ChangeBatch>Changes>Change"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.PathValue("id") != zoneID:
		s.fail(w, http.StatusNotFound, "NoSuchHostedZone")
		return
	case s.refuse != "":
		s.fail(w, http.StatusForbidden, s.refuse)
		return
	case xml.Unmarshal(body, &in) != nil || len(in.Changes) == 0:
		s.fail(w, http.StatusBadRequest, "InvalidInput")
		return
	}
	for _, change := range in.Changes {
		if !s.apply(change.Action, change.Set) {
			s.fail(w, http.StatusBadRequest, "InvalidChangeBatch")
			return
		}
		s.changes = append(s.changes, fmt.Sprintf("%s %s %s %s", change.Action, change.Set.Name, change.Set.Type, strings.Join(change.Set.Values, ",")))
	}
	s.answer(w, changeInfo("ChangeResourceRecordSetsResponse", "PENDING"))
}

// apply refuses values of TXT without quotes, and deleting what is not exactly there.
func (s *service) apply(action string, set record) bool {
	if set.Type == "TXT" {
		for _, value := range set.Values {
			if !strings.HasPrefix(value, `"`) || !strings.HasSuffix(value, `"`) || len(value) < 2 {
				return false
			}
		}
	}
	if !strings.HasSuffix(set.Name, ".") {
		set.Name += "."
	}
	key := set.Name + " " + set.Type
	switch action {
	case "UPSERT":
		s.sets[key] = set
	case "DELETE":
		if cmp.Diff(s.sets[key], set) != "" {
			return false
		}
		delete(s.sets, key)
	default:
		return false
	}
	return true
}

type info struct {
	XMLName xml.Name
	Change  struct {
		ID          string `xml:"Id"`
		Status      string
		SubmittedAt string
	} `xml:"ChangeInfo"`
}

func changeInfo(name, status string) info {
	out := info{XMLName: xml.Name{Local: name}}
	out.Change.ID, out.Change.Status, out.Change.SubmittedAt = "/change/C1", status, "2030-01-01T00:00:00Z"
	return out
}

func (s *service) sync(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.changes = append(s.changes, "asked for "+r.PathValue("id"))
	s.mu.Unlock()
	s.answer(w, changeInfo("GetChangeResponse", "INSYNC"))
}

func proof(text string) []libdns.Record {
	return []libdns.Record{libdns.TXT{Name: "_acme-challenge.acme", TTL: time.Minute, Text: text}}
}

func TestARecordIsWrittenWaitedForReplacedAndRemoved(t *testing.T) {
	for name, config := range map[string]aws.Config{
		"the zone is found by name": {}, "the zone is given": {Region: "us-east-1", HostedZoneID: zoneID},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			zone, err := aws.New(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{"one", "two"} {
				if _, err := zone.SetRecords(t.Context(), "berth.example.", proof(text)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := zone.DeleteRecords(t.Context(), "berth.example.", proof("two")); err != nil {
				t.Fatal(err)
			}
			const at = "_acme-challenge.acme.berth.example. TXT"
			want := []string{
				"UPSERT " + at + ` "one"`, "asked for C1", "UPSERT " + at + ` "two"`, "asked for C1", "DELETE " + at + ` "two"`,
			}
			if diff := cmp.Diff(want, s.changes); diff != "" {
				t.Error(diff)
			}
			if len(s.sets) != 2 {
				t.Errorf("the zone has %v", s.sets)
			}
		})
	}
}

func TestRemovingWhatIsNotThereIsNoError(t *testing.T) {
	s := newService(t)
	zone, err := aws.New(t.Context(), aws.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zone.DeleteRecords(t.Context(), "berth.example.", proof("two")); err != nil || len(s.changes) > 0 {
		t.Errorf("got %v, changed %v", err, s.changes)
	}
}

func TestWhatRoute53RefusesIsAnError(t *testing.T) {
	s := newService(t)
	s.refuse = "AccessDenied"
	zone, err := aws.New(t.Context(), aws.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zone.SetRecords(t.Context(), "berth.example.", proof("one")); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("got %v", err)
	}
	if _, err := zone.SetRecords(t.Context(), "other.example.", proof("one")); err == nil || !strings.Contains(err.Error(), "No zones found") {
		t.Errorf("a zone that is not there gave %v", err)
	}
}
