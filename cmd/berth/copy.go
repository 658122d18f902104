package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/berth-dev/berth/internal/apiclient"
)

func (c *cli) copyCommands() []*cobra.Command {
	var largest string
	cp := &cobra.Command{
		Use: "cp SRC DST", Short: "Copy a file or folder to or from a process",
		Long: `Copy a file or a folder to or from one of the app's processes. The side in the process is
COMPONENT:PATH, of which the newest process that is up is taken, or PROCESS:PATH with a name
that ps shows. DST is what the copy will be called; one that ends in / is the folder to put
it into. The image must have tar. What lies outside of a volume is gone when the process is.
Links are not copied from a process, since they might lead anywhere.`,
		Example: "  berth cp ./seed.sql web:/tmp/seed.sql\n  berth cp web:/app/log ./log\n  berth cp web.x7k2p:/tmp/heap.out .",
		Args:    arguments(2, 2, "what to copy, and where to"),
		RunE: func(cmd *cobra.Command, args []string) error {
			limit, err := resource.ParseQuantity(largest)
			if err != nil || limit.Sign() <= 0 {
				return usage(largest+" is not a size", "Write for example: --max-size 10Gi")
			}
			return c.copy(cmd.Context(), args[0], args[1], limit.Value())
		},
	}
	cp.Flags().StringVar(&largest, "max-size", "1Gi", "give up when it is more than this")
	return []*cobra.Command{cp}
}

// inProcess is what a side in a process looks like: no path of this machine, unless it is
// written with a slash before the colon.
var inProcess = regexp.MustCompile(`^([a-z][a-z0-9-]*)(\.[a-z0-9]+)?:(.*)$`)

// place is one side of a copy.
type place struct {
	remote bool
	ref    apiclient.ProcessRef
	path   string
}

func placeOf(arg string) place {
	found := inProcess.FindStringSubmatch(arg)
	switch {
	case found == nil:
		return place{path: arg}
	case found[2] != "":
		return place{remote: true, ref: apiclient.ProcessRef{Process: found[1] + found[2]}, path: found[3]}
	}
	return place{remote: true, ref: apiclient.ProcessRef{Component: found[1]}, path: found[3]}
}

// copied is what a copy came to.
type copied struct {
	Process string `json:"process"`
	Files   int    `json:"files"`
	Bytes   int64  `json:"bytes"`
	// LeftOut are links and what is neither file nor folder.
	LeftOut []string `json:"leftOut,omitempty"`
}

func (c *cli) copy(ctx context.Context, src, dst string, limit int64) error {
	from, to := placeOf(src), placeOf(dst)
	remote := from
	if to.remote {
		remote = to
	}
	switch {
	case from.remote == to.remote:
		return usage("one side must be in a process and the other one here", "Write for example: berth cp ./seed.sql web:/tmp/seed.sql")
	case !strings.HasPrefix(remote.path, "/"):
		return usage(fmt.Sprintf("%q is not a whole path in a process", remote.path), "Begin it with a slash, for example: web:/tmp/seed.sql")
	case from.remote && path.Clean(from.path) == "/":
		return usage("all of the file system cannot be copied", "Name a file or folder in it.")
	}
	client, tenant, app, err := c.appClient()
	if err != nil {
		return err
	}
	done := &copied{}
	meter := &meter{progress: c.progress(), limit: limit, done: done}
	if to.remote {
		err = c.upload(ctx, from.path, to.path, meter, func(folder string) (*apiclient.Pipe, error) {
			return client.Upload(ctx, tenant, app, to.ref, folder)
		})
	} else {
		err = c.download(ctx, from.path, to.path, meter, func() (*apiclient.Pipe, error) {
			return client.Download(ctx, tenant, app, from.ref, from.path)
		})
	}
	meter.progress.clear()
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	return c.show(done, func(w io.Writer) {
		files := "1 file"
		if done.Files != 1 {
			files = fmt.Sprintf("%d files", done.Files)
		}
		fmt.Fprintf(w, "Copied %s, %s, %s %s.\n", files, sizeWords(done.Bytes), map[bool]string{true: "to", false: "from"}[to.remote], done.Process)
		for _, name := range done.LeftOut {
			fmt.Fprintf(w, "Left out, since it is a link or no file: %s\n", clean(name, false))
		}
	})
}

// meter counts what is copied, shows it on a terminal and ends what is too much.
type meter struct {
	progress *progress
	limit    int64
	done     *copied
	said     int64
}

// take counts n bytes that are about to be copied.
func (m *meter) take(n int64) error {
	if n > m.limit-m.done.Bytes {
		return &apiclient.Problem{
			Code: "too_large", Detail: "it is more than " + sizeWords(m.limit), Fix: "Copy less, or allow more with --max-size.",
		}
	}
	m.done.Bytes += n
	if m.progress.live && m.done.Bytes-m.said >= 1<<20 {
		m.said = m.done.Bytes
		m.progress.say("%s copied", sizeWords(m.done.Bytes))
	}
	return nil
}

func sizeWords(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 1<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

// upload packs what is here and sends it.
func (c *cli) upload(ctx context.Context, src, dst string, m *meter, open func(folder string) (*apiclient.Pipe, error)) error {
	src, err := filepath.Abs(src)
	if err != nil {
		return err
	}
	if _, err := os.Stat(src); err != nil {
		return &apiclient.Problem{Code: "not_found", Detail: fmt.Sprintf("%s cannot be read: %v", src, reasonOf(err)), Fix: "Check the path."}
	}
	folder, name := path.Dir(dst), path.Base(dst)
	if strings.HasSuffix(dst, "/") {
		folder, name = path.Clean(dst), filepath.Base(src)
	}
	pipe, err := open(folder)
	if err != nil {
		return err
	}
	defer pipe.Close()
	end := make(chan error, 1)
	go func() { end <- untilEnd(pipe, io.Discard, m.done) }()
	out := &sender{to: pipe}
	buffered := bufio.NewWriterSize(out, 64<<10)
	err = errors.Join(pack(ctx, buffered, src, name, m), buffered.Flush())
	switch {
	case out.broken:
		// The process says better than the broken connection why it takes no more.
		return cmp.Or(<-end, err)
	case err != nil:
		return err
	}
	if err := pipe.CloseWrite(); err != nil {
		return cmp.Or(<-end, err)
	}
	return <-end
}

// sender remembers whether sending failed.
type sender struct {
	to     io.Writer
	broken bool
}

// Write sends.
func (s *sender) Write(p []byte) (int, error) {
	n, err := s.to.Write(p)
	s.broken = s.broken || err != nil
	return n, err
}

// untilEnd copies what comes to w until the last message and tells how it ended.
func untilEnd(pipe *apiclient.Pipe, w io.Writer, done *copied) error {
	for {
		ctl, err := pipe.Next(w)
		switch {
		case err != nil:
			return err
		case ctl.Error != nil:
			return ctl.Error
		case ctl.EOF:
			return nil
		case ctl.Process != "":
			done.Process = ctl.Process
		}
	}
}

// download takes what a process packs and unpacks it here.
func (c *cli) download(ctx context.Context, src, dst string, m *meter, open func() (*apiclient.Pipe, error)) error {
	folder, name := filepath.Dir(dst), filepath.Base(dst)
	if info, err := os.Stat(dst); strings.HasSuffix(dst, "/") || err == nil && info.IsDir() {
		folder, name = dst, path.Base(path.Clean(src))
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return &apiclient.Problem{Code: "not_found", Detail: fmt.Sprintf("%s cannot be written to: %v", folder, reasonOf(err)), Fix: "Make the folder first."}
	}
	defer root.Close()
	pipe, err := open()
	if err != nil {
		return err
	}
	defer pipe.Close()
	archive, incoming := io.Pipe()
	end := make(chan error, 1)
	go func() {
		err := untilEnd(pipe, incoming, m.done)
		incoming.CloseWithError(cmp.Or(err, io.EOF))
		end <- err
	}()
	err = unpack(archive, root, path.Base(path.Clean(src)), name, m)
	_ = archive.CloseWithError(err) // stops what still comes, if it failed
	if err != nil {
		_ = pipe.Close()
	}
	// What the process says of its own failure explains more than an archive that ends early.
	var said *apiclient.Problem
	if ended := <-end; errors.As(ended, &said) || err == nil {
		return ended
	}
	return err
}

// reasonOf is an error of the file system without the path that is named already.
func reasonOf(err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
