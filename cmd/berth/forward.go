package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/apiclient"
)

func (c *cli) forwardCommands() []*cobra.Command {
	var to apiclient.ProcessRef
	forward := &cobra.Command{
		Use: "port-forward [LOCAL:]PORT...", Short: "Reach a port of a process from this machine",
		Long: `Listen on this machine and join every connection to a port of one of the app's processes,
also one that nobody outside can reach. It listens on 127.0.0.1 only, until Ctrl-C. LOCAL
is the port here, the same one if it is left out; 0 takes any that is free.`,
		Example: "  berth port-forward 5432 -c db\n  berth port-forward 8080:80 9000\n  berth port-forward 0:6379 -c cache",
		Args:    arguments(1, -1, "a port, such as 5432"),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.portForward(cmd.Context(), to, args) },
	}
	forward.Flags().StringVarP(&to.Component, "component", "c", "", "component to reach (default: web, else the first)")
	forward.Flags().StringVar(&to.Process, "process", "", "this process of it, such as web.x7k2p (default: the newest that is up)")
	return []*cobra.Command{forward}
}

// portPair is a port here and one of a process.
type portPair struct{ local, remote int }

func portArgument(arg string) (portPair, error) {
	here, there, both := strings.Cut(arg, ":")
	if !both {
		there = here
	}
	local, err := strconv.ParseUint(here, 10, 16)
	remote, err2 := strconv.ParseUint(there, 10, 16)
	if err != nil || err2 != nil || remote == 0 {
		return portPair{}, usage(arg+" is not PORT or LOCAL:PORT", "Write for example: berth port-forward 5432, or berth port-forward 15432:5432")
	}
	return portPair{local: int(local), remote: int(remote)}, nil // at most 65535
}

func (c *cli) portForward(ctx context.Context, to apiclient.ProcessRef, args []string) error {
	pairs := make([]portPair, len(args))
	for i, arg := range args {
		var err error
		if pairs[i], err = portArgument(arg); err != nil {
			return err
		}
	}
	client, tenant, app, err := c.appClient()
	if err != nil {
		return err
	}
	// An app that is not there is told before anything listens.
	if _, err := client.App(ctx, tenant, app); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var serving sync.WaitGroup
	defer serving.Wait()
	failed := make(chan error, len(pairs))
	for _, pair := range pairs {
		listener, err := listenHere(ctx, pair)
		if err != nil {
			cancel()
			return err
		}
		if err := c.forwards(listener, pair); err != nil {
			cancel()
			return err
		}
		f := &forwarder{cli: c, dial: func(ctx context.Context) (*apiclient.Pipe, error) {
			return client.Forward(ctx, tenant, app, to, pair.remote)
		}}
		serving.Go(func() { failed <- f.serve(ctx, listener) })
	}
	select {
	case <-ctx.Done():
		return nil // Ctrl-C is how it ends
	case err := <-failed:
		cancel()
		return err
	}
}

func listenHere(ctx context.Context, pair portPair) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(pair.local)))
	if err != nil {
		return nil, &apiclient.Problem{
			Code: "conflict", Field: "port", Detail: fmt.Sprintf("port %d of this machine cannot be listened on: %v", pair.local, cause(err)),
			Fix: fmt.Sprintf("Choose another one: berth port-forward 0:%d takes any that is free.", pair.remote),
		}
	}
	return listener, nil
}

// cause is an error of the network without the words that say the same as ours.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// forwards tells what listens where.
func (c *cli) forwards(listener net.Listener, pair portPair) error {
	at := listener.Addr().String()
	if c.json {
		return json.NewEncoder(c.out).Encode(map[string]any{"listening": at, "port": pair.remote})
	}
	_, err := fmt.Fprintf(c.out, "%s leads to port %d. End with Ctrl-C.\n", at, pair.remote)
	return err
}

// forwarder joins the connections of one listener to one port.
type forwarder struct {
	cli  *cli
	dial func(context.Context) (*apiclient.Pipe, error)
	mu   sync.Mutex
}

// serve takes connections until ctx ends, and waits for those that are open to be closed.
func (f *forwarder) serve(ctx context.Context, listener net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return cmp.Or(ctx.Err(), err)
		}
		open.Go(func() {
			defer conn.Close()
			if err := f.join(ctx, conn); err != nil && ctx.Err() == nil {
				f.complain(err)
			}
		})
	}
}

// complain tells of one connection that failed; the next one may not.
func (f *forwarder) complain(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.cli.report(err)
}

// join copies both ways between a connection here and a port of a process.
func (f *forwarder) join(ctx context.Context, conn net.Conn) error {
	var patience patience
	pipe, err := f.dial(ctx)
	for patience.bears(ctx, err) {
		pipe, err = f.dial(ctx)
	}
	if err != nil {
		return err
	}
	defer pipe.Close()
	var gone atomic.Bool
	go func() {
		// The read ends when the connection is closed, at the latest.
		if _, err := io.Copy(pipe, conn); err == nil {
			_ = pipe.CloseWrite()
			return
		}
		gone.Store(true)
		_ = pipe.Close()
	}()
	for {
		ctl, err := pipe.Next(conn)
		switch {
		case errors.Is(err, apiclient.ErrPipeLost) && !gone.Load():
			return err
		case err != nil:
			return nil // whoever connected has hung up
		case ctl.Error != nil:
			return ctl.Error
		case ctl.EOF:
			return nil
		}
	}
}
