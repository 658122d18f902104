// Command push makes the shop's images and pushes them to a registry.
//
//	push HOST:PORT
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	acme "github.com/berth-dev/berth/examples/acme/images"
	"github.com/berth-dev/berth/internal/images"
	"github.com/berth-dev/berth/internal/parts"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: push HOST:PORT")
		os.Exit(2)
	}
	if err := push(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "push:", err)
		os.Exit(1)
	}
}

func push(ctx context.Context, registry string) error {
	source, err := parts.FindSource("")
	if err != nil {
		return err
	}
	cache, err := parts.DefaultCacheDir()
	if err != nil {
		return err
	}
	set, err := acme.Build(ctx, acme.Options{Source: source, CacheDir: cache, Log: slog.Default()})
	if err != nil {
		return err
	}
	for _, ref := range set.Refs() {
		if err := images.Push(ctx, registry, ref, set[ref]); err != nil {
			return err
		}
	}
	return nil
}
