// Command buildparts builds the binaries that are not ours into the cache and
// prints the folder they are in. Names of parts may be given; none means all but those
// that only benchmarks need.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/berth-dev/berth/internal/parts"
)

func main() {
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: buildparts [part …]\n\nparts: %v\n", parts.All())
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := parts.Build(ctx, parts.Options{Names: flag.Args(), Progress: parts.Print(os.Stderr)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
	fmt.Println(dir)
}
