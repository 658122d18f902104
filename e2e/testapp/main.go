// Command testapp is the app that scenarios deploy, and the probe they send into a
// tenant's cluster.
//
//	testapp serve               answer HTTP on $PORT: /, /version, /healthz, /slow?ms=N
//	testapp exit CODE           say why and end
//	testapp dial NETWORK ADDR   say "connected", "refused", "timeout" or "unreachable"
//	testapp resolve NAME        say the addresses of a name, or "not found"
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dialTimeout is how long a dropped packet is waited for.
const dialTimeout = 2 * time.Second

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
		fmt.Println(resolve(args[1]))
	default:
		fmt.Fprintln(os.Stderr, "unknown command", args[0])
		os.Exit(2)
	}
}

func serve() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: ":" + os.Getenv("PORT"), Handler: handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() {
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

func resolve(name string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return "not found: " + err.Error()
	}
	return strings.Join(addresses, " ")
}
