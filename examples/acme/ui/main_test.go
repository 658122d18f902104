package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHandler(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("api " + r.URL.Path))
	}))
	handler, err := newHandler(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		path, holds string
		status      int
	}{
		"the front page is the shop":        {"/", "Acme", http.StatusOK},
		"styles are served":                 {"/style.css", "font-family", http.StatusOK},
		"it says that it works":             {"/healthz", "ok", http.StatusOK},
		"calls of the api are passed on":    {"/api/items", "api /api/items", http.StatusOK},
		"a page that is not there is a 404": {"/missing", "", http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, test.path, nil))
			if answer.Code != test.status || !strings.Contains(answer.Body.String(), test.holds) {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
		})
	}
	t.Run("an api that is down is a 502 in words", func(t *testing.T) {
		api.Close()
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/items", nil))
		if answer.Code != http.StatusBadGateway || !strings.Contains(answer.Body.String(), "does not answer") {
			t.Errorf("%d %s", answer.Code, answer.Body)
		}
	})
	t.Run("an address that is none is refused at the start", func(t *testing.T) {
		if _, err := newHandler("api"); err == nil {
			t.Error("no error")
		}
	})
}
