package main

import (
	"encoding/json"
	"net/http"

	"github.com/berth-dev/berth/internal/apiclient"
)

// fakeHosts are two hosts of a region, one of which does not answer.
func fakeHosts() map[string]*apiclient.HostCluster {
	return map[string]*apiclient.HostCluster{
		"eu-1": {Name: "eu-1", Region: "eu", Zones: []string{"eu-a", "eu-b"}, PoolSize: 1, MaxClusters: 100, Available: 1, Bound: 3, CapacityOCUs: 40, FreeOCUs: 12},
		"eu-2": {
			Name: "eu-2", Region: "eu", MaxClusters: 100, ControllerName: "eu-2", EdgeAddress: "edge.eu-2.example.com:443",
			Skipped:    &apiclient.Skipped{Reason: "Unreachable", Message: "The API server has not answered for a minute"},
			Conditions: []apiclient.Condition{{Type: "Reachable", Status: "False", Message: "no answer"}},
		},
	}
}

func (p *fakePortal) regions(*http.Request) (any, error) {
	return apiclient.List[apiclient.Region]{Items: []apiclient.Region{{Name: "eu", Zones: []string{"eu-a", "eu-b"}, Room: true}}}, nil
}

func (p *fakePortal) listHosts(*http.Request) (any, error) {
	return apiclient.List[*apiclient.HostCluster]{Items: []*apiclient.HostCluster{p.hosts["eu-1"], p.hosts["eu-2"]}}, nil
}

func (p *fakePortal) host(r *http.Request) (any, error) {
	h, ok := p.hosts[r.PathValue("host")]
	if !ok {
		return nil, &apiclient.Problem{Status: 404, Field: "host", Detail: "there is no such host", Fix: "See the list with: berth hostclusters"}
	}
	return h, nil
}

func (p *fakePortal) patchHost(r *http.Request) (any, error) {
	if _, err := p.host(r); err != nil {
		return nil, err
	}
	var in apiclient.HostClusterPatch
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, err
	}
	h := p.hosts[r.PathValue("host")]
	h.Cordoned, h.Skipped = *in.Cordoned, nil
	if h.Cordoned {
		h.Skipped = &apiclient.Skipped{Reason: "Cordoned", Message: "It is cordoned"}
	}
	return h, nil
}
