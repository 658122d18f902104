package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// renderedKinds are what Berth makes for an app inside the tenant's cluster.
var renderedKinds = []schema.GroupVersionKind{
	{Version: "v1", Kind: "ServiceAccount"},
	{Version: "v1", Kind: "Secret"},
	{Version: "v1", Kind: "ConfigMap"},
	{Version: "v1", Kind: "Service"},
	{Group: "apps", Version: "v1", Kind: "Deployment"},
}

// inCluster is a client of a virtual cluster as its administrator.
func (i *instance) inCluster(a *access) (client.Client, error) {
	return client.New(&rest.Config{
		Host: "https://" + a.address, Dial: i.dialInside, QPS: 100, Burst: 200,
		TLSClientConfig: rest.TLSClientConfig{CAData: a.ca, CertData: a.cert, KeyData: a.key, ServerName: localName},
	}, client.Options{})
}

// manifests reads what Berth made for an app as the manifests a person would have written:
// without what the API server filled in, and with the namespace.
func manifests(ctx context.Context, c client.Client, app string) (string, error) {
	items := []any{map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": app}}}
	for _, kind := range renderedKinds {
		var list unstructured.UnstructuredList
		list.SetGroupVersionKind(kind)
		if err := c.List(ctx, &list, client.InNamespace(app)); err != nil {
			return "", err
		}
		for _, object := range list.Items {
			// The API server's own.
			if name := object.GetName(); name != "default" && name != "kube-root-ca.crt" {
				items = append(items, written(object.Object))
			}
		}
	}
	if len(items) < 3 {
		return "", errors.New("nothing was made for the app " + app)
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	return string(text), err
}

// written keeps of an object what a person writes.
func written(object map[string]any) map[string]any {
	delete(object, "status")
	metadata, _ := object["metadata"].(map[string]any)
	kept := map[string]any{}
	for _, key := range []string{"name", "namespace", "labels"} {
		if value, ok := metadata[key]; ok {
			kept[key] = value
		}
	}
	object["metadata"] = kept
	if spec, ok := object["spec"].(map[string]any); ok {
		for _, key := range []string{"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"} {
			delete(spec, key)
		}
	}
	return object
}

// renamed gives manifests another app's name and another image. Names must be unlike any
// other word in them.
func renamed(text, app, otherApp, image, otherImage string) string {
	return strings.NewReplacer(app, otherApp, image, otherImage).Replace(text)
}
