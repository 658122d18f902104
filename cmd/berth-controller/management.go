package main

import (
	"errors"
	"os"
	"strconv"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// managementConfig says where the platform's objects are and which of them are this
// controller's. Empty is the cluster it runs in, and all that no other controller has.
type managementConfig struct {
	// name is the spec.controllerName of the hosts it looks after.
	name string
	// kubeconfig is the file with which the management cluster is reached.
	kubeconfig string
}

// flags adds the flags; text is parse's own.
func (c *managementConfig) flags(text func(into *string, name, fallback, usage string)) {
	text(&c.name, "controller-name", "", "spec.controllerName of the host clusters to look after, on a host of another management cluster; "+
		"domains and certificates are left to that one's controller")
	text(&c.kubeconfig, "management-kubeconfig", "", "kubeconfig file of the management cluster, empty for the cluster this runs in")
}

// Validate says what is wrong, all of it at once.
func (c *managementConfig) Validate() error {
	var problems []error
	wrong := func(field, what, fix string) { problems = append(problems, errs.New(errs.Invalid, field, what, fix)) }
	if c.name != "" {
		problems = append(problems, tenancy.CheckHostName("controller-name", c.name))
	}
	if c.name != "" && c.kubeconfig == "" {
		wrong("management-kubeconfig", "is empty, but controller-name is "+strconv.Quote(c.name), "give the management cluster's kubeconfig file, or neither")
	}
	if c.name == "" && c.kubeconfig != "" {
		wrong("controller-name", "is empty, but management-kubeconfig is given", "give the spec.controllerName of this host cluster, or neither")
	}
	return errors.Join(problems...)
}

// config is how the management cluster is reached, given how the cluster that this runs in
// is. What is wrong inside the file is not told: it holds credentials, and parsers like to
// quote.
func (c *managementConfig) config(host *rest.Config) (*rest.Config, error) {
	if c.kubeconfig == "" {
		return host, nil
	}
	raw, err := os.ReadFile(c.kubeconfig)
	if err != nil {
		return nil, errs.New(errs.Invalid, "management-kubeconfig", err.Error(), "give a file that can be read")
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(raw)
	if err != nil {
		return nil, errs.New(errs.Invalid, "management-kubeconfig", strconv.Quote(c.kubeconfig)+" is no kubeconfig with a current context",
			"give the one that was made for this host's controller")
	}
	return config, nil
}
