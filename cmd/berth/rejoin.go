package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy/hosts"
)

// joinedFile is what only the file says that an earlier hostclusters:join wrote: the management
// cluster does not know by which way a host reaches it and other edges.
type joinedFile struct {
	Management struct {
		ControllerName string   `json:"controllerName"`
		EgressCIDRs    []string `json:"egressCIDRs"`
		Kubeconfigs    struct {
			Controller string `json:"controller"`
		} `json:"kubeconfigs"`
	} `json:"management"`
	Router struct {
		PeerCIDRs []hosts.Peer `json:"peerCIDRs"`
	} `json:"router"`
}

// keep takes from the host's file that is written over what was not asked for now. What it says
// of a server is not kept for another one.
func (ask *joining) keep() error {
	if ask.values == "-" {
		return nil
	}
	raw, err := os.ReadFile(ask.values)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var file joinedFile
	// The reason is not told: it may quote what is in the file.
	unreadable := errs.New(errs.Invalid, "--values", ask.values+" is no file that this command wrote", "name another file, or remove it and repeat all flags")
	if yaml.Unmarshal(raw, &file) != nil {
		return unreadable
	}
	if file.Management.ControllerName != ask.options.Name {
		return nil
	}
	if len(ask.peerCIDRs) == 0 {
		ask.options.Peers = file.Router.PeerCIDRs
	}
	kubeconfig, err := clientcmd.Load([]byte(file.Management.Kubeconfigs.Controller))
	if err != nil || kubeconfig.Contexts[kubeconfig.CurrentContext] == nil {
		return unreadable
	}
	server := kubeconfig.Clusters[kubeconfig.Contexts[kubeconfig.CurrentContext].Cluster]
	o := &ask.options
	if server == nil || o.Server != "" && o.Server != server.Server {
		return nil
	}
	o.Server = server.Server
	if o.TLSServerName == "" {
		o.TLSServerName = server.TLSServerName
	}
	if ask.caFile == "" {
		o.CABundle = server.CertificateAuthorityData
	}
	if len(ask.managementCIDRs) == 0 {
		ask.managementCIDRs = file.Management.EgressCIDRs
	}
	return nil
}

// readPeers reads what --peer-cidr says: blocks of addresses, each with a port or for 443.
func (ask *joining) readPeers() error {
	for _, said := range ask.peerCIDRs {
		block, port := said, 443
		// The colons of an address stand before its length.
		if at := strings.LastIndexByte(said, ':'); at > strings.IndexByte(said, '/') {
			var err error
			if port, err = strconv.Atoi(said[at+1:]); err != nil {
				return errs.New(errs.Invalid, "--peer-cidr", fmt.Sprintf("%q has no port after the colon", said), "write it as 198.51.100.8/31:8443")
			}
			block = said[:at]
		}
		ask.options.Peers = append(ask.options.Peers, hosts.Peer{CIDR: block, Port: port})
	}
	return nil
}
