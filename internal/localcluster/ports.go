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

// choosePorts keeps the ports an instance has, and finds free ones for the rest: the
// preferred ones for the default instance, any for others.
func choosePorts(name string, have Ports) (Ports, error) {
	ports := have
	values := reflect.ValueOf(&ports).Elem()
	wanted := reflect.ValueOf(preferred)
	for i := range values.NumField() {
		if values.Field(i).Int() != 0 {
			continue
		}
		want := 0
		if name == DefaultName {
			want = int(wanted.Field(i).Int())
		}
		port, err := freePort(want)
		if err != nil {
			return Ports{}, err
		}
		values.Field(i).SetInt(int64(port))
	}
	return ports, nil
}

// freePort returns want if nothing listens there, and any free port otherwise.
func freePort(want int) (int, error) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", want))
	if err != nil && want != 0 {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return 0, errs.Wrap(errs.Unavailable, err, "finding a free port on 127.0.0.1")
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
