package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

const (
	// accessPort is the port of the edge's internal service that its lines are read from.
	accessPort = "access"
	// pastTimeout bounds reading what the edge holds.
	pastTimeout = 10 * time.Second
	// maxHeld bounds what one router is believed to hold, in bytes.
	maxHeld = 8 << 20
	// rememberLines is how many lines are known again after a connection broke.
	rememberLines = 4096
	// overlap is how much of the past is read again then: a line is written when its request
	// ends, and carries the time when it began.
	overlap = time.Minute
	// lookAgain is how often a follower looks for routers that came since.
	lookAgain = 10 * time.Second
)

// AccessLine is one request that the edge answered for an app.
type AccessLine struct {
	Time       time.Time `json:"time"`
	Tenant     string    `json:"tenant"`
	App        string    `json:"app"`
	Component  string    `json:"component"`
	Host       string    `json:"host"`
	Method     string    `json:"method"`
	Path       string    `json:"path"`
	Status     int       `json:"status"`
	Bytes      int64     `json:"bytes"`
	DurationMS float64   `json:"durationMs"`
	RequestID  string    `json:"requestId"`
	Client     string    `json:"client"`
	Protocol   string    `json:"protocol"`
	UserAgent  string    `json:"userAgent"`
}

// AccessLog tells the requests that the edge answered for an app: the newest of those it
// still knows, in order of time, and with Follow those that come. The lines come one at a
// time, in one goroutine.
func (s *Service) AccessLog(ctx context.Context, tenant, name string, opts LogOptions, each func(AccessLine) error) error {
	app, err := s.app(ctx, tenant, name)
	if err != nil {
		return err
	}
	if opts.Component != "" && !slices.Contains(apps.ComponentNames(app.Spec.Template), opts.Component) {
		return apps.UnknownComponent("component", app, opts.Component)
	}
	if opts.Tail < 0 {
		opts.Tail = defaultTail
	}
	r := &accessReader{service: s, tenant: tenant, app: name, opts: opts, lines: make(chan AccessLine, 64), open: map[string]bool{}, told: map[string]bool{}}
	past, err := r.past(ctx)
	if err != nil {
		return err
	}
	for _, line := range past {
		if err := each(line); err != nil {
			return err
		}
	}
	if !opts.Follow {
		return nil
	}
	return r.follow(ctx, each)
}

// accessReader reads the lines of one app from all routers.
type accessReader struct {
	service     *Service
	tenant, app string
	opts        LogOptions
	lines       chan AccessLine

	mu sync.Mutex
	// open are the routers that are being followed.
	open map[string]bool
	// told are the lines that came already, and order tells which to forget first.
	told  map[string]bool
	order []string
}

// accessTransport reaches routers inside the host cluster, so it asks no proxy.
var accessTransport = &http.Transport{
	DialContext:           (&net.Dialer{Timeout: pastTimeout}).DialContext,
	ResponseHeaderTimeout: pastTimeout,
	IdleConnTimeout:       time.Minute,
}

// routers are where the edge's lines are read.
func (r *accessReader) routers(ctx context.Context) ([]string, error) {
	s := r.service
	if s.AccessService == "" {
		return nil, errs.New(errs.Unavailable, "access", "this platform keeps no access log", "Ask the operator of this platform.")
	}
	var found discoveryv1.EndpointSliceList
	err := s.Client.List(ctx, &found, client.InNamespace(tenancy.SystemNamespace), client.MatchingLabels{discoveryv1.LabelServiceName: s.AccessService})
	if err != nil {
		return nil, translate(err)
	}
	out := addresses(found.Items)
	if len(out) == 0 {
		return nil, errs.New(errs.Unavailable, "access", "the edge does not answer now", "Try again in a moment.")
	}
	return out, nil
}

// addresses are where the port access of a Service's pods is reached.
func addresses(found []discoveryv1.EndpointSlice) []string {
	var out []string
	for _, slice := range found {
		for _, port := range slice.Ports {
			if port.Name == nil || *port.Name != accessPort || port.Port == nil {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				// One that is about to end still answers and still has lines.
				if len(endpoint.Addresses) > 0 && (endpoint.Conditions.Serving == nil || *endpoint.Conditions.Serving) {
					out = append(out, net.JoinHostPort(endpoint.Addresses[0], strconv.Itoa(int(*port.Port))))
				}
			}
		}
	}
	return out
}

// past reads what all routers hold and gives the newest of it. One that does not answer is
// left out, unless none does.
func (r *accessReader) past(ctx context.Context) ([]AccessLine, error) {
	routers, err := r.routers(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, pastTimeout)
	defer cancel()
	var asking sync.WaitGroup
	var out []AccessLine
	var faults []error
	for _, router := range routers {
		asking.Go(func() {
			err := r.read(ctx, router, time.Time{}, false, func(line AccessLine) error {
				r.mu.Lock()
				defer r.mu.Unlock()
				out = append(out, line)
				return nil
			})
			if err != nil {
				r.mu.Lock()
				defer r.mu.Unlock()
				faults = append(faults, err)
			}
		})
	}
	asking.Wait()
	if len(faults) == len(routers) {
		return nil, errs.Wrap(errs.Unavailable, errors.Join(faults...), "the edge does not answer now: try again in a moment")
	}
	slices.SortStableFunc(out, func(a, b AccessLine) int { return a.Time.Compare(b.Time) })
	return out[max(0, len(out)-r.opts.Tail):], nil
}

// follow tells what comes from all routers, those to come too, until ctx ends or each fails.
func (r *accessReader) follow(ctx context.Context, each func(AccessLine) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		r.discover(ctx, &readers)
		for looked := false; !looked; {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case line := <-r.lines:
				if err := each(line); err != nil {
					return err
				}
			case <-ticker.C:
				looked = true
			}
		}
	}
}

// discover begins to follow routers that are not being followed.
func (r *accessReader) discover(ctx context.Context, readers *sync.WaitGroup) {
	routers, err := r.routers(ctx)
	if err != nil {
		return // the next look may tell more
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, router := range routers {
		if r.open[router] {
			continue
		}
		r.open[router] = true
		readers.Go(func() {
			_ = r.read(ctx, router, r.service.Clock.Now().Add(-overlap), true, func(line AccessLine) error {
				select {
				case r.lines <- line:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}) // a connection that broke is taken up again by the next look
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.open, router)
		})
	}
}

// read tells the lines of one router that were not told before. Lines of others are none of
// the caller's business, whatever a router sends.
func (r *accessReader) read(ctx context.Context, router string, since time.Time, follow bool, each func(AccessLine) error) error {
	query := url.Values{"tenant": {r.tenant}, "app": {r.app}}
	if !since.IsZero() {
		query.Set("since", since.UTC().Format(time.RFC3339Nano))
	}
	if follow {
		query.Set("follow", "1")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+router+"/access?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	response, err := accessTransport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the router answered %d", response.StatusCode)
	}
	body := io.Reader(response.Body)
	if !follow {
		body = io.LimitReader(body, maxHeld)
	}
	return eachLine(body, func(text string) error {
		var line AccessLine
		if json.Unmarshal([]byte(text), &line) != nil || line.Tenant != r.tenant || line.App != r.app {
			return nil
		}
		if r.opts.Component != "" && line.Component != r.opts.Component || !r.fresh(line) {
			return nil
		}
		return each(line)
	})
}

// fresh tells whether a line has not come yet, and remembers it.
func (r *accessReader) fresh(line AccessLine) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := line.RequestID + line.Time.Format(time.RFC3339Nano)
	if r.told[key] {
		return false
	}
	r.told[key] = true
	if r.order = append(r.order, key); len(r.order) > rememberLines {
		delete(r.told, r.order[0])
		r.order = r.order[1:]
	}
	return true
}
