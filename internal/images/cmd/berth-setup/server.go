package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/berth-dev/berth/api/v1alpha1/crds"
)

const (
	accountDir = "/var/run/secrets/kubernetes.io/serviceaccount/"
	kindsPath  = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
	berthPath  = "/apis/berth.dev/v1alpha1/"
)

// server is the API server of the cluster.
type server struct {
	url, token string
	client     *http.Client
}

// inCluster finds the server as every pod does.
func inCluster() (*server, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("this runs inside a cluster only")
	}
	token, err := os.ReadFile(accountDir + "token")
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(accountDir + "ca.crt")
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("the cluster's certificate cannot be read")
	}
	return &server{
		url: "https://" + net.JoinHostPort(host, port), token: strings.TrimSpace(string(token)),
		client: &http.Client{
			Timeout:   30 * time.Second,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}},
		},
	}, nil
}

// applyKinds applies each definition whole, under a field manager of its own.
func (s *server) applyKinds(ctx context.Context) error {
	files, err := fs.Glob(crds.FS, "*.yaml")
	if err != nil {
		return err
	}
	for _, file := range files {
		definition, err := fs.ReadFile(crds.FS, file)
		if err != nil {
			return err
		}
		group, plural, ok := strings.Cut(strings.TrimSuffix(file, ".yaml"), "_")
		if !ok {
			return fmt.Errorf("%s is not named group_plural.yaml", file)
		}
		path := kindsPath + plural + "." + group + "?fieldManager=berth-setup&force=true"
		if _, err := s.do(ctx, http.MethodPatch, path, "application/apply-patch+yaml", definition); err != nil {
			return fmt.Errorf("applying the kind %s: %w", plural, err)
		}
		fmt.Println("applied", plural+"."+group)
	}
	return nil
}

// drain leaves nothing that only a running controller can remove.
func (s *server) drain(ctx context.Context, tick <-chan time.Time) error {
	tenants, err := s.names(ctx, "tenants")
	if err != nil {
		return err
	}
	if len(tenants) > 0 {
		return fmt.Errorf("there are tenants: %s; delete them first with berth tenants:delete, or kubectl delete tenant",
			strings.Join(tenants, ", "))
	}
	if _, err := s.do(ctx, http.MethodDelete, berthPath+"hostclusters", "", nil); err != nil && !errors.Is(err, errNotFound) {
		return fmt.Errorf("deleting the host clusters: %w", err)
	}
	for {
		hosts, err := s.names(ctx, "hostclusters")
		if err != nil {
			return err
		}
		clusters, err := s.names(ctx, "virtualclusters")
		if err != nil {
			return err
		}
		left := slices.Concat(hosts, clusters)
		if len(left) == 0 {
			fmt.Println("nothing is left")
			return nil
		}
		select {
		case <-tick:
		case <-ctx.Done():
			return fmt.Errorf("still there: %s; is the controller running?", strings.Join(left, ", "))
		}
	}
}

// names lists a kind of Berth's. A kind that is not installed has no objects.
func (s *server) names(ctx context.Context, plural string) ([]string, error) {
	body, err := s.do(ctx, http.MethodGet, berthPath+plural, "", nil)
	if errors.Is(err, errNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", plural, err)
	}
	var list struct {
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		} `json:"items"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("listing %s: %w", plural, err)
	}
	names := make([]string, 0, len(list.Items))
	for _, item := range list.Items {
		names = append(names, item.Metadata.Name)
	}
	return names, nil
}

var errNotFound = errors.New("not found")

func (s *server) do(ctx context.Context, method, path, contentType string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Accept", "application/json")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode == http.StatusNotFound:
		return nil, errNotFound
	case response.StatusCode >= 300:
		var status struct {
			Message string `json:"message"`
		}
		if json.Unmarshal(answer, &status) != nil || status.Message == "" {
			status.Message = response.Status
		}
		return nil, errors.New(status.Message)
	}
	return answer, nil
}
