// Command testapp is the app that scenarios deploy, and the probe they send into a
// tenant's cluster.
//
//	testapp serve               answer HTTP on $PORT: /, /version, /healthz, /slow?ms=N
//	testapp exit CODE           say why and end
//	testapp dial NETWORK ADDR   say "connected", "refused", "timeout" or "unreachable"
//	testapp resolve NAME [SERVER]
//	                            say the addresses of a name, or "not found", "timeout" or
//	                            "failed"; SERVER is a resolver's address with its port
//	testapp listen ADDR         accept connections until standard input ends
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// dialTimeout is how long a dropped packet is waited for.
	dialTimeout = 2 * time.Second
	// resolveTimeout is how long a resolver may take.
	resolveTimeout = 5 * time.Second
)

func main() {
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"serve"}
	}
	switch args[0] {
	case "serve":
		serve()
	case "exit":
		code, _ := strconv.Atoi(args[1])
		fmt.Println("cannot start: SHOP_KEY is not set")
		os.Exit(code)
	case "dial":
		fmt.Println(dial(args[1], args[2]))
	case "resolve":
		fmt.Println(resolve(args[1], args[2:]...))
	case "listen":
		if err := listen(args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		fmt.Fprintln(os.Stderr, "unknown command", args[0])
		os.Exit(2)
	}
}

func serve() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: ":" + os.Getenv("PORT"), Handler: handler(), ReadHeaderTimeout: 5 * time.Second}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = server.Shutdown(drain)
	}()
	fmt.Println("listening on", server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	<-drained // ListenAndServe returns as soon as the drain begins
}

func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		host, _ := os.Hostname()
		fmt.Fprintf(w, "hello from %s %s on %s, release %s\n", os.Getenv("BERTH_COMPONENT"), os.Getenv("VERSION"), host, os.Getenv("BERTH_RELEASE"))
		fmt.Println(r.Method, r.URL.Path)
	})
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getenv("VERSION")) })
	mux.HandleFunc("/env", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, os.Getenv(r.FormValue("name"))) })
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if os.Getenv("UNHEALTHY") != "" {
			http.Error(w, "not healthy", http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.Atoi(r.FormValue("ms"))
		time.Sleep(time.Duration(ms) * time.Millisecond)
		fmt.Fprint(w, "done")
	})
	return mux
}

func dial(network, address string) string {
	connection, err := net.DialTimeout(network, address, dialTimeout)
	if err == nil && network == "udp" {
		err = echo(connection)
	}
	var timeout net.Error
	switch {
	case err == nil:
		return "connected"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	default:
		return "unreachable: " + err.Error()
	}
}

// echo sends a datagram and waits for any answer: UDP has no connection to see.
func echo(connection net.Conn) error {
	if err := connection.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	if _, err := connection.Write([]byte("ping")); err != nil {
		return err
	}
	_, err := connection.Read(make([]byte, 512))
	return err
}

// resolve tells a name that does not exist from a resolver that does not answer.
func resolve(name string, server ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	resolver := &net.Resolver{PreferGo: true}
	if len(server) > 0 {
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server[0])
		}
	}
	addresses, err := resolver.LookupHost(ctx, name)
	var failure *net.DNSError
	switch {
	case err == nil:
		return strings.Join(addresses, " ")
	case errors.As(err, &failure) && failure.IsNotFound:
		return "not found"
	case errors.As(err, &failure) && failure.IsTimeout:
		return "timeout"
	default:
		return "failed: " + err.Error()
	}
}

// listen ends with whoever holds the other end of its standard input, however that ends.
func listen(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_ = connection.Close()
		}
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
