// Command testapp is the app that scenarios deploy, and the probe they send into a
// tenant's cluster.
//
//	testapp serve [PORT]        answer HTTP on PORT, else $PORT: /, /version, /healthz, /slow?ms=N, /ws
//	                            (says what it hears), /events (a server-sent event every
//	                            100 ms), /body (how many bytes came), /exit?code=N, /eat?mib=N,
//	                            /fill?mib=N (takes room on the disk, below /tmp). Told to end,
//	                            it goes on with what is open on /ws and /events for a while
//	testapp exit CODE           say why and end
//	testapp say TEXT            say it and end well
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
	"sync"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// dialTimeout is how long a dropped packet is waited for.
	dialTimeout = 2 * time.Second
	// resolveTimeout is how long a resolver may take.
	resolveTimeout = 5 * time.Second
	// streamsStay is how long streams go on after the process was told to end. With the
	// time before and after that it is most of the 30 s that a process is given.
	streamsStay = 15 * time.Second
	// farewell is how long the client of a websocket has to answer its end.
	farewell = 3 * time.Second
)

func main() {
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"serve"}
	}
	switch args[0] {
	case "serve":
		serve(append(args[1:], os.Getenv("PORT"))[0])
	case "say":
		fmt.Println(args[1])
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

func serve(port string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	open := &streams{leaving: make(chan struct{})}
	server := &http.Server{Addr: ":" + port, Handler: handler(open), ReadHeaderTimeout: 5 * time.Second}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		<-ctx.Done()
		time.AfterFunc(streamsStay, func() { close(open.leaving) })
		drain, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = server.Shutdown(drain)
		open.websockets.Wait() // which Shutdown knows nothing of
	}()
	fmt.Println("listening on", server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	<-drained // ListenAndServe returns as soon as the drain begins
}

func handler(open *streams) http.Handler {
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
	mux.HandleFunc("/body", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	})
	mux.HandleFunc("/exit", func(_ http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.FormValue("code"))
		fmt.Println("ending as asked, with", code)
		os.Exit(code)
	})
	mux.HandleFunc("/eat", eat)
	mux.HandleFunc("/fill", fill)
	mux.HandleFunc("/ws", open.talk)
	mux.HandleFunc("/events", open.events)
	return mux
}

// eaten keeps what was eaten.
var eaten [][]byte

// eat uses memory, and does not give it back.
func eat(w http.ResponseWriter, r *http.Request) {
	mib, _ := strconv.Atoi(r.FormValue("mib"))
	for range mib {
		page := make([]byte, 1<<20)
		for i := 0; i < len(page); i += 4096 {
			page[i] = 1
		}
		eaten = append(eaten, page)
	}
	fmt.Fprint(w, len(eaten))
}

// fill takes room on the disk, and does not give it back.
func fill(w http.ResponseWriter, r *http.Request) {
	mib, _ := strconv.ParseInt(r.FormValue("mib"), 10, 64)
	file, err := os.CreateTemp("", "full")
	if err == nil {
		defer file.Close()
		err = syscall.Fallocate(int(file.Fd()), 0, 0, mib<<20)
	}
	fmt.Fprint(w, err)
}

// streams are the answers without an end. They end when leaving is closed.
type streams struct {
	leaving    chan struct{}
	websockets sync.WaitGroup
}

// talk says back what it hears on a websocket, with the release that hears it.
func (s *streams) talk(w http.ResponseWriter, r *http.Request) {
	s.websockets.Add(1)
	defer s.websockets.Done()
	socket, err := new(websocket.Upgrader).Upgrade(w, r, nil)
	if err != nil {
		return // the client has been told
	}
	defer socket.Close()
	ended := make(chan struct{})
	defer close(ended)
	go s.sayGoodbye(socket, ended)
	for {
		kind, heard, err := socket.ReadMessage()
		if err != nil {
			return
		}
		err = socket.WriteMessage(kind, append([]byte(os.Getenv("BERTH_RELEASE")+" "), heard...))
		if err != nil && !errors.Is(err, websocket.ErrCloseSent) { // after which its answer is read
			return
		}
	}
}

// sayGoodbye tells a websocket's client that the process ends, with a code that is nobody
// else's on the way.
func (s *streams) sayGoodbye(socket *websocket.Conn, ended <-chan struct{}) {
	select {
	case <-ended:
	case <-s.leaving:
		late := time.Now().Add(farewell)
		_ = socket.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseServiceRestart, ""), late)
		_ = socket.NetConn().SetReadDeadline(late)
	}
}

// events sends server-sent events until the client has gone or the process ends.
func (s *streams) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		if _, err := fmt.Fprintf(w, "data: %d\n\n", n); err != nil {
			return
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.leaving:
			return
		case <-tick.C:
		}
	}
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
