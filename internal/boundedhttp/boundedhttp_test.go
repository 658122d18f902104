package boundedhttp

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

// zeros never end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// httpClient is what client-go makes of a bounded configuration.
func httpClient(t *testing.T, url string, apply func(*rest.Config)) *http.Client {
	t.Helper()
	config := &rest.Config{Host: url, BearerToken: "t"}
	apply(config)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// get asks for a path and counts what can be read of the answer.
func get(t *testing.T, client *http.Client, url string) (int64, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	return io.Copy(io.Discard, response.Body)
}

func TestOnlyStreamsAreReadWithoutEnd(t *testing.T) {
	const pod = "/api/v1/namespaces/shop/pods/web-1"
	for name, test := range map[string]struct {
		path   string
		status int
		size   int64
		want   error
	}{
		"an answer of the largest size":       {"/api/v1/pods", 200, MaxBody, nil},
		"an answer of a byte more":            {"/api/v1/pods", 200, MaxBody + 1, ErrTooLarge},
		"a watch":                             {"/api/v1/pods?watch=true", 200, MaxBody + 1, nil},
		"a log that is followed":              {pod + "/log?follow=true", 200, MaxBody + 1, nil},
		"a log":                               {pod + "/log", 200, MaxBody + 1, nil},
		"a refused watch":                     {"/api/v1/pods?watch=true", 500, MaxBody + 1, ErrTooLarge},
		"a refused log":                       {pod + "/log", 404, MaxBody + 1, ErrTooLarge},
		"a Deployment called log":             {"/apis/apps/v1/namespaces/shop/deployments/log", 200, MaxBody + 1, ErrTooLarge},
		"a Deployment log in namespace pods":  {"/apis/apps/v1/namespaces/pods/deployments/log", 200, MaxBody + 1, ErrTooLarge},
		"a config map called exec":            {"/api/v1/namespaces/pods/configmaps/exec", 200, MaxBody + 1, ErrTooLarge},
		"a pod called log":                    {"/api/v1/namespaces/shop/pods/log", 200, MaxBody + 1, ErrTooLarge},
		"a subresource that is not a stream":  {pod + "/status", 200, MaxBody + 1, ErrTooLarge},
		"a list that only looks like a watch": {"/api/v1/pods?watch=false", 200, MaxBody + 1, ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = io.CopyN(w, zeros{}, test.size)
			}))
			defer server.Close()
			n, err := get(t, httpClient(t, server.URL, ApplyToStreaming), server.URL+test.path)
			if !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			if want := min(test.size, MaxBody); test.want != nil && n != want {
				t.Errorf("%d bytes were read, want %d", n, want)
			}
		})
	}
}

func TestCompressedAnswersAreNeitherAskedForNorExpanded(t *testing.T) {
	asked := "nothing"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("Accept-Encoding")
		w.Header().Set("Content-Encoding", "gzip")
		packed := gzip.NewWriter(w)
		_, _ = io.CopyN(packed, zeros{}, MaxBody)
		_ = packed.Close()
	}))
	defer server.Close()
	n, err := get(t, httpClient(t, server.URL, Apply), server.URL+"/api/v1/pods")
	if err != nil {
		t.Fatal(err)
	}
	if asked != "identity" {
		t.Errorf("the client asked for %q", asked)
	}
	if n > MaxBody/100 {
		t.Errorf("%d bytes were read: the answer was expanded", n)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		http.Redirect(w, r, "/elsewhere?watch=true", http.StatusFound)
	}))
	defer server.Close()
	_, err := get(t, httpClient(t, server.URL, Apply), server.URL+"/api/v1/pods")
	if !errors.Is(err, ErrRedirect) {
		t.Errorf("error %v, want ErrRedirect", err)
	}
	if got := strings.Join(paths, " "); got != "/api/v1/pods" {
		t.Errorf("the server was asked for %s", got)
	}
}

func TestAClientThatNeverWatchesReadsNoStreams(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.CopyN(w, zeros{}, MaxBody+1)
	}))
	defer server.Close()
	client := httpClient(t, server.URL, Apply)
	for _, path := range []string{"/api/v1/pods?watch=true", "/api/v1/namespaces/shop/pods/web-1/log"} {
		if _, err := get(t, client, server.URL+path); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: error %v, want ErrTooLarge", path, err)
		}
	}
}
