package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/websocket"

	"github.com/berth-dev/berth/internal/apiclient"
)

// patchSettings is what the portal does with labels and the edge's settings.
func patchSettings(a *apiclient.App, in apiclient.AppPatch) error {
	for key, value := range in.Labels {
		if a.Labels == nil {
			a.Labels = map[string]string{}
		}
		if delete(a.Labels, key); value != nil {
			a.Labels[key] = *value
		}
	}
	if in.Maintenance != nil {
		a.Maintenance = *in.Maintenance
	}
	if in.Edge == nil {
		return nil
	}
	if in.Edge.MaintenanceMessage != nil {
		a.Edge.MaintenanceMessage = *in.Edge.MaintenanceMessage
	}
	if in.Edge.AllowedCIDRs != nil {
		a.Edge.AllowedCIDRs = *in.Edge.AllowedCIDRs
	}
	a.Edge.AllowedCIDRs = slices.Concat(a.Edge.AllowedCIDRs, in.Edge.Allow)
	if len(in.Edge.Disallow) > 0 && len(a.Edge.AllowedCIDRs) == 1 {
		return &apiclient.Problem{Status: 409, Field: "edge.allowedCIDRs", Detail: "it is the last network that is let in", Fix: "To let everybody in: berth access:clear"}
	}
	if in.Edge.MaxBodyMiB != nil {
		a.Edge.MaxBodyMiB = *in.Edge.MaxBodyMiB
	}
	if in.Edge.AnswerTimeoutSeconds != nil {
		a.Edge.AnswerTimeoutSeconds = *in.Edge.AnswerTimeoutSeconds
	}
	return nil
}

func (p *fakePortal) diagnosis(r *http.Request) (any, error) {
	if _, err := p.app(r); err != nil {
		return nil, err
	}
	a := p.apps[r.PathValue("app")]
	out := apiclient.Diagnosis{Summary: "v1 of " + a.Name + " is live and works.", Healthy: true, Components: []apiclient.ComponentHealth{{Name: "web", Desired: 1, Ready: 1, State: "up"}}}
	if a.Live != a.Latest {
		out = apiclient.Diagnosis{
			Summary: "v2 failed; v1 keeps serving.", Version: 2, Since: 1, Next: []string{"berth config:set --app " + a.Name + " DATABASE_URL=VALUE"},
			Findings: []apiclient.Finding{{Component: "web", Process: "web.aaaaa", Reason: "MissingVariable", Message: "It asks for the variable DATABASE_URL.", Hint: "Set it.", Output: []string{"\x1b[2Jboom"}}},
			Changes: []apiclient.TemplateChange{
				{Field: "components.web.image", What: "changed", Old: "web@sha256:" + strings.Repeat("a", 64), New: "web@sha256:" + strings.Repeat("b", 64)},
				{Field: "config.DATABASE_URL", What: "removed"},
			},
		}
	}
	return out, nil
}

func configDiff(r *http.Request) apiclient.ConfigDiff {
	out := apiclient.ConfigDiff{From: 1, Version: 2, Phase: "Live", Summary: "set LOG_LEVEL", Changes: []apiclient.ConfigChange{
		{Key: "API_KEY", What: "changed", Secret: true}, {Key: "LOG_LEVEL", What: "changed"}, {Key: "OLD", What: "removed"},
	}}
	if r.URL.Query().Get("values") == "1" {
		out.Changes[1].Old, out.Changes[1].New, out.Changes[2].Old = "info", "debug", "x"
	}
	return out
}

func (p *fakePortal) access(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, mustJSON(apiclient.AccessLine{Method: "GET", Host: "shop.acme.berth.localhost", Path: "/cart", Status: 200, Bytes: 2048, DurationMS: 12.4, Client: "203.0.113.7", RequestID: "a"}))
}

var testUpgrader websocket.Upgrader

// say ends a connection with a last message.
func say(conn *websocket.Conn, last apiclient.PipeControl) { _ = conn.WriteJSON(last) }

// forward answers as a process that shouts back, or as one that does not listen on port 1.
func (p *fakePortal) forward(w http.ResponseWriter, r *http.Request) {
	conn, err := testUpgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	if r.URL.Query().Get("port") == "1" {
		say(conn, apiclient.PipeControl{Error: &apiclient.Problem{Status: 409, Field: "port", Detail: "nothing listens on port 1 of web.aaaaa", Fix: "Check the port."}})
		return
	}
	say(conn, apiclient.PipeControl{Process: "web.aaaaa"})
	for {
		kind, data, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if kind == websocket.TextMessage {
			say(conn, apiclient.PipeControl{EOF: true})
			return
		}
		_ = conn.WriteMessage(websocket.BinaryMessage, bytes.ToUpper(data))
	}
}

// upload keeps the archive that comes; a process of the component scratch has no tar.
func (p *fakePortal) upload(w http.ResponseWriter, r *http.Request) {
	conn, err := testUpgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	if r.URL.Query().Get("component") == "scratch" {
		say(conn, apiclient.PipeControl{Error: &apiclient.Problem{Status: 409, Field: "component", Detail: "the image has no tar", Fix: "Use another image."}})
		return
	}
	say(conn, apiclient.PipeControl{Process: "web.aaaaa"})
	var got bytes.Buffer
	for {
		kind, data, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if kind == websocket.BinaryMessage {
			got.Write(data)
			continue
		}
		var ctl apiclient.PipeControl
		if json.Unmarshal(data, &ctl) == nil && ctl.EOF {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files, p.folder = got.Bytes(), r.URL.Query().Get("folder")
	say(conn, apiclient.PipeControl{EOF: true})
}

// download sends what the last upload brought, or says that the path is not there.
func (p *fakePortal) download(w http.ResponseWriter, r *http.Request) {
	conn, err := testUpgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	say(conn, apiclient.PipeControl{Process: "web.aaaaa"})
	if !strings.HasPrefix(r.URL.Query().Get("path"), p.folder+"/") {
		say(conn, apiclient.PipeControl{Error: &apiclient.Problem{Status: 409, Field: "path", Detail: "tar in web.aaaaa failed: no such file", Fix: "Check the path."}})
		return
	}
	for part := range slices.Chunk(p.files, 700) {
		_ = conn.WriteMessage(websocket.BinaryMessage, part)
	}
	say(conn, apiclient.PipeControl{EOF: true})
}
