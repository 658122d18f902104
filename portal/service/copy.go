package service

import (
	"context"
	"errors"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"

	"github.com/berth-dev/berth/internal/errs"
)

// maxPath bounds a path in a process, in bytes.
const maxPath = 4096

// Upload unpacks the tar archive that a person sends in a folder of a process, with the
// image's own tar.
func (s *Service) Upload(ctx context.Context, tenant, app string, to ProcessRef, folder string, pipe Pipe) error {
	folder, err := pathInside("folder", folder)
	if err != nil {
		return err
	}
	return s.tar(ctx, tenant, app, to, pipe, "folder", []string{"tar", "-xf", "-", "-C", folder})
}

// Download packs a file or folder of a process for a person, with the image's own tar. What
// comes is the process's word: whoever unpacks it must not believe its names.
func (s *Service) Download(ctx context.Context, tenant, app string, from ProcessRef, file string, pipe Pipe) error {
	file, err := pathInside("path", file)
	if err != nil {
		return err
	}
	if file == "/" {
		return errs.New(errs.Invalid, "path", "all of the file system cannot be copied", "Name a file or folder in it.")
	}
	pipe.In = nil
	return s.tar(ctx, tenant, app, from, pipe, "path", []string{"tar", "-cf", "-", "-C", path.Dir(file), "./" + path.Base(file)})
}

// pathInside checks a path in a process. It begins with a slash, so it is never an option.
func pathInside(field, file string) (string, error) {
	if !strings.HasPrefix(file, "/") || len(file) > maxPath || strings.ContainsRune(file, 0) {
		return "", errs.New(errs.Invalid, field, quote(clip(file, 100))+" is not a path in a process", "Write the whole path, such as /tmp/report.csv.")
	}
	return path.Clean(file), nil
}

// tar runs tar in a process, joined to the person's side.
func (s *Service) tar(ctx context.Context, tenant, app string, ref ProcessRef, pipe Pipe, field string, command []string) error {
	clientset, a, err := s.cluster(ctx, tenant, app)
	if err != nil {
		return err
	}
	pod, err := s.process(ctx, clientset, a, ref)
	if err != nil {
		return err
	}
	conf, err := s.restConfig(ctx, tenant)
	if err != nil {
		return err
	}
	req := clientset.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: pod.Spec.Containers[0].Name, Command: command, Stdin: pipe.In != nil, Stdout: true, Stderr: true,
		}, scheme.ParameterCodec)
	exec, err := executor(conf, req.URL())
	if err != nil {
		return err
	}
	if err := pipe.Sink.Started(processName(pod)); err != nil {
		return err
	}
	said := &head{}
	err = exec.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: pipe.In, Stdout: pipe.Sink, Stderr: said})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return tarFault(field, processName(pod), said.String(), err)
}

// tarFault explains why tar did not do its work.
func tarFault(field, process, said string, err error) error {
	if err == nil {
		return nil
	}
	var exit utilexec.ExitError
	ended := errors.As(err, &exit)
	if noProgram(err.Error()) || ended && (exit.ExitStatus() == 126 || exit.ExitStatus() == 127) {
		return errs.New(errs.Conflict, "component", "the image of "+process+" has no tar, so nothing can be copied to or from it",
			"Use an image that has tar, or let the app itself write to a volume or a bucket.")
	}
	if !ended {
		return lost(err)
	}
	// tar begins with its own name, which people did not type.
	reason, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(said), "tar: "), "\n")
	if reason == "" {
		reason = "it gave no reason"
	}
	return errs.New(errs.Conflict, field, "tar in "+process+" failed: "+reason, "Check that the path exists and that the process may read or write it.")
}

// noProgram knows the ways in which a machine says that a program is not in an image.
func noProgram(text string) bool {
	return strings.Contains(text, "executable file not found") || strings.Contains(text, "no such file or directory")
}

// head keeps the beginning of what is written to it.
type head struct{ kept strings.Builder }

// Write keeps what there is room for.
func (h *head) Write(p []byte) (int, error) {
	h.kept.Write(p[:min(len(p), maxComplaint-h.kept.Len())])
	return len(p), nil
}

// String is what was kept.
func (h *head) String() string { return strings.ToValidUTF8(h.kept.String(), "?") }
