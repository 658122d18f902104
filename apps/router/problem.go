package router

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/apps/router/table"
	"github.com/berth-dev/berth/internal/errs"
)

//go:embed problem.html
var problemHTML string

var problemPage = template.Must(template.New("problem").Parse(problemHTML))

// problem is an answer of the edge itself.
type problem struct {
	// reason is what it is counted by.
	reason     string
	status     int
	code       errs.Code
	title      string
	message    string
	retryAfter int
	// closes ends the connection, whose request has not been read to its end.
	closes bool
}

// The problems the edge answers for.
var (
	problemBadHost = problem{
		reason: "bad_host",
		status: http.StatusBadRequest, code: errs.Invalid,
		title: "That is not a host name", message: "The request names no host that could exist.",
	}
	problemUnknown = problem{
		reason: "unknown_host",
		status: http.StatusNotFound, code: errs.NotFound,
		title: "Nothing lives here", message: "No app has this address. Check the spelling, or deploy an app to it.",
	}
	problemMisdirected = problem{
		reason: "misdirected",
		status: http.StatusMisdirectedRequest, code: errs.Invalid,
		title: "Wrong connection", message: "This connection was made for another host. Connect again to reach this one.",
	}
	problemForbidden = problem{
		reason: "forbidden",
		status: http.StatusForbidden, code: errs.Forbidden,
		title: "Not from here", message: "This app is open to certain networks only, and yours is none of them.",
	}
	problemTooLarge = problem{
		reason: "too_large",
		status: http.StatusRequestEntityTooLarge, code: errs.Invalid, closes: true,
		title: "Too large", message: "This app takes no request bodies of that size.",
	}
	problemMaintenance = problem{
		reason: "maintenance",
		status: http.StatusServiceUnavailable, code: errs.Unavailable, retryAfter: 120,
		title: "Down for maintenance", message: "Its owner has switched this app to maintenance. Please come back later.",
	}
	problemNotReady = problem{
		reason: "not_ready",
		status: http.StatusServiceUnavailable, code: errs.Unavailable, retryAfter: 5,
		title: "Not ready yet", message: "No process of this app is ready to answer. Please try again in a few seconds.",
	}
	problemNoWay = problem{
		reason: "no_way",
		status: http.StatusServiceUnavailable, code: errs.Unavailable, retryAfter: 120,
		title: "No way there", message: "What has this address runs on another host, and this edge has no way to it. Whoever runs the platform can make one.",
	}
	problemHostAway = problem{
		reason: "host_away",
		status: http.StatusServiceUnavailable, code: errs.Unavailable, retryAfter: 30,
		title: "Its host is away", message: "What has this address runs on another host, which does not answer at the moment. Please come back later.",
	}
	problemBadPeer = problem{
		reason: "bad_peer",
		status: http.StatusBadRequest, code: errs.Invalid,
		title: "Not passed on well", message: "Another edge passed this request on and did not say whose it is.",
	}
	problemSecondHop = problem{
		reason: "second_hop",
		status: http.StatusLoopDetected, code: errs.Unavailable, retryAfter: 5,
		title: "On its way", message: "The edges do not agree yet where this runs. Please try again in a few seconds.",
	}
	problemNoConnection = problem{
		reason: "no_answer",
		status: http.StatusBadGateway, code: errs.Unavailable, retryAfter: 5,
		title: "No answer", message: "The app did not answer, or broke off. Please try again in a few seconds.",
	}
	problemSlow = problem{
		reason: "slow",
		status: http.StatusGatewayTimeout, code: errs.Unavailable,
		title: "Too slow", message: "The app took too long to answer.",
	}
)

// problemFor is what to say for a status that the proxy gave up with.
func problemFor(status int) problem {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return problemTooLarge
	case http.StatusBadGateway:
		return problemNoConnection
	case http.StatusServiceUnavailable:
		return problemNotReady
	case http.StatusGatewayTimeout:
		return problemSlow
	}
	code := errs.Invalid
	if status >= http.StatusInternalServerError {
		code = errs.Internal
	}
	title := http.StatusText(status)
	if title == "" {
		title = "Error " + strconv.Itoa(status)
	}
	return problem{reason: "other", status: status, code: code, title: title, message: "The request could not be passed on."}
}

// maintenance is what an app says while its owner works on it.
func maintenance(target *table.Target) *problem {
	p := problemMaintenance
	if target.Message != "" {
		p.message = target.Message
	}
	return &p
}

// answer gives an answer of the edge's own and counts it.
func (e *Edge) answer(p problem, m *meter, r *http.Request, x *exchange) {
	e.metrics.own.WithLabelValues(p.reason).Inc()
	p.write(m, r, x)
}

// write answers in the form the client asked for: kubectl gets what an API server
// would say, programs JSON, browsers a page and everyone else a line.
func (p problem) write(w *meter, r *http.Request, x *exchange) {
	kind, body := p.render(r, x)
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept")
	if p.closes && r.ProtoMajor == 1 {
		h.Set("Connection", "close")
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	w.WriteHeader(p.status)
	if r.Method != http.MethodHead {
		// The client may be gone; there is nobody left to tell.
		_, _ = w.Write(body)
	}
}

func (p problem) render(r *http.Request, x *exchange) (kind string, body []byte) {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	switch {
	case x.class() == table.ClassKubernetes:
		body, _ = json.Marshal(metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
			Status:   metav1.StatusFailure, Code: int32(p.status), // an HTTP status
			Reason: metav1.StatusReasonServiceUnavailable, Message: p.title + ": " + p.message,
		})
		return "application/json", body
	case strings.Contains(accept, "text/html"):
		var page bytes.Buffer
		// The template and its data are ours; it cannot fail on a buffer.
		_ = problemPage.Execute(&page, map[string]any{
			"Status": p.status, "Title": p.title, "Message": p.message, "Host": x.host, "ID": x.id,
		})
		return "text/html; charset=utf-8", page.Bytes()
	case strings.Contains(accept, "json"):
		body, _ = json.Marshal(object{
			"error": object{"code": p.code, "message": p.title + ": " + p.message, "requestId": x.id},
		})
		return "application/json", body
	default:
		return "text/plain; charset=utf-8", []byte(p.title + ". " + p.message + "\n")
	}
}
