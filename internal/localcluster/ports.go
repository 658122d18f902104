package localcluster

import (
	"fmt"
	"net"
	"reflect"

	"github.com/berth-dev/berth/internal/errs"
)

// Ports are the instance's ports on 127.0.0.1.
type Ports struct {
	// HTTPS and HTTP are the edge; TCP carries streams inside TLS.
	HTTPS int `json:"https"`
	HTTP  int `json:"http"`
	TCP   int `json:"tcp"`
	// API is the host cluster's API server.
	API int `json:"api"`
	// Registry takes images.
	Registry int `json:"registry"`
}

// preferred are the ports of the default instance, when they are free.
var preferred = Ports{HTTPS: 8443, HTTP: 8080, TCP: 8444, API: 6443, Registry: 5000}

// Ports of other instances are chosen from this range: below the one the kernel takes the
// ports of outgoing connections from, any of which could hold one at the next start.
const (
	lowestPort  = 20000
	highestPort = 30000
)

// choosePorts checks the ports an instance has and finds free ones for the rest: the
// preferred ones for the default instance, any for others.
func choosePorts(name string, have Ports) (Ports, error) {
	ports := have
	fields := reflect.ValueOf(&ports).Elem()
	wanted := reflect.ValueOf(preferred)
	for i := range fields.NumField() {
		held, err := choosePort(name, int(fields.Field(i).Int()), int(wanted.Field(i).Int()))
		if err != nil {
			return Ports{}, err
		}
		defer held.Close() // until all are chosen, or one might be chosen twice
		fields.Field(i).SetInt(int64(held.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}

// choosePort returns a listener on the port an instance has, or else on a free one. The
// default instance's ports are in people's commands: they do not change by themselves.
func choosePort(name string, has, prefers int) (net.Listener, error) {
	if has != 0 {
		listener, err := listen(has)
		if err == nil {
			return listener, nil
		}
		if name == DefaultName {
			return nil, errs.New(errs.Unavailable, "", fmt.Sprintf("port %d on 127.0.0.1, which this instance uses, is taken by another program", has),
				"stop that program; `ss -ltnp` says which it is")
		}
	} else if name == DefaultName {
		if listener, err := listen(prefers); err == nil {
			return listener, nil
		}
	}
	for port := lowestPort; port < highestPort; port++ {
		if listener, err := listen(port); err == nil {
			return listener, nil
		}
	}
	return nil, errs.New(errs.Unavailable, "", fmt.Sprintf("no port from %d to %d is free on 127.0.0.1", lowestPort, highestPort), "stop what holds them")
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
}
