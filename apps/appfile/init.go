package appfile

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// Init writes a first file into a directory after looking at what is there, and
// gives its path. A file that exists is never touched.
func Init(dir string) (string, error) {
	path := filepath.Join(dir, Name)
	text, err := Draft(dir)
	if err != nil {
		return "", err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return "", errs.New(errs.Conflict, path, "the file exists already", "edit it, or remove it and run this again")
	}
	if err != nil {
		return "", errs.Wrap(errs.Invalid, err, fmt.Sprintf("%s cannot be written", path))
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errs.Wrap(errs.Internal, err, fmt.Sprintf("%s could not be written", path))
	}
	return path, nil
}

// found is what a look at a directory tells.
type found struct {
	name  string
	port  int
	hints []string
	// processes of a Procfile, in its order.
	processes []process
}

type process struct{ name, command string }

// Draft is the text that Init writes.
func Draft(dir string) ([]byte, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, fmt.Sprintf("%s is not a directory", dir))
	}
	if info, err := os.Stat(absolute); err != nil || !info.IsDir() {
		return nil, errs.New(errs.Invalid, dir, "there is no such directory", "name the directory of your app")
	}
	f := &found{name: appNameFrom(filepath.Base(absolute)), port: 8080}
	f.look(os.DirFS(absolute))
	return []byte(f.text()), nil
}

// kinds of projects, by a file that tells them.
var kinds = []struct{ file, hint string }{
	{"Gemfile", "Gemfile: a Ruby app. Bind to 0.0.0.0 and to the port in PORT."},
	{"package.json", "package.json: a Node.js app. Listen on process.env.PORT."},
	{"go.mod", "go.mod: a Go app. Listen on \":\" + os.Getenv(\"PORT\")."},
	{"requirements.txt", "requirements.txt: a Python app. Bind to 0.0.0.0 and to the port in PORT."},
	{"pyproject.toml", "pyproject.toml: a Python app. Bind to 0.0.0.0 and to the port in PORT."},
	{"composer.json", "composer.json: a PHP app. Let the server listen on the port in PORT."},
	{"pom.xml", "pom.xml: a Java app. Listen on the port in PORT."},
}

func (f *found) look(dir fs.FS) {
	if text, err := fs.ReadFile(dir, "Dockerfile"); err == nil {
		f.dockerfile(string(text))
	}
	if text, err := fs.ReadFile(dir, "Procfile"); err == nil {
		f.procfile(string(text))
	}
	for _, kind := range kinds {
		if _, err := fs.Stat(dir, kind.file); err == nil {
			f.hints = append(f.hints, kind.hint)
		}
	}
}

var exposed = regexp.MustCompile(`(?im)^\s*EXPOSE\s+(\d+)`)

func (f *found) dockerfile(text string) {
	f.hints = append(f.hints, "Dockerfile: build the image from it, push it and name it below.")
	if match := exposed.FindStringSubmatch(text); match != nil {
		if port, err := strconv.Atoi(match[1]); err == nil && port > 0 && port < 65536 {
			f.port = port
		}
	}
	if !regexp.MustCompile(`(?im)^\s*USER\s+[1-9]\d*`).MatchString(text) {
		f.hints = append(f.hints, "The Dockerfile names no numeric USER: the process runs as user 10001, never as root.")
	}
}

func (f *found) procfile(text string) {
	f.hints = append(f.hints, "Procfile: one component for each of its lines.")
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		name, command, ok := strings.Cut(lines.Text(), ":")
		name, command = strings.TrimSpace(name), strings.TrimSpace(command)
		if !ok || command == "" || !apps.ValidComponentName(name) || f.has(name) || len(f.processes) == 20 {
			continue
		}
		f.processes = append(f.processes, process{name, command})
	}
}

func (f *found) has(name string) bool {
	for _, p := range f.processes {
		if p.name == name {
			return true
		}
	}
	return false
}

func (f *found) text() string {
	var b strings.Builder
	b.WriteString("# The app, as Berth runs it. `berth diff` shows what would change, `berth apply` does it.\n")
	for _, hint := range f.hints {
		fmt.Fprintf(&b, "# %s\n", hint)
	}
	fmt.Fprintf(&b, "app: %s\ncomponents:\n", f.name)
	processes := f.processes
	if len(processes) == 0 {
		processes = []process{{name: "web"}}
	}
	for i, p := range processes {
		fmt.Fprintf(&b, "  %s:\n", p.name)
		if i == 0 {
			b.WriteString("    # Name your image here: <registry>/<tenant>/<name>:<tag>\n")
		}
		fmt.Fprintf(&b, "    image: registry.berth.internal/my-tenant/%s:1\n", f.name)
		if p.command != "" {
			fmt.Fprintf(&b, "    command: [sh, -c, %s]\n", strconv.Quote(p.command))
		}
		b.WriteString("    count: 1 # processes\n    ocus: 1 # size of each: 1 OCU is a tenth of a CPU and 1 GiB of memory\n")
		if p.name == "web" {
			fmt.Fprintf(&b, "    ports:\n      http: {port: %d, expose: true}\n    # health: {path: /healthz}\n", f.port)
		}
	}
	b.WriteString("  # nightly: # runs by the clock\n  #   image: registry.berth.internal/my-tenant/" + f.name + ":1\n  #   cron: {schedule: \"0 3 * * *\", timeZone: Europe/Berlin}\n")
	b.WriteString("# config:\n#   LOG_LEVEL: info\n# secrets: [SESSION_KEY] # names only; `berth secrets:set` sets the values\n")
	return b.String()
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// appNameFrom makes a name that an app may have out of a directory's.
func appNameFrom(directory string) string {
	name := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(directory), "-"), "-")
	name = strings.TrimLeft(name, "0123456789-")
	name = strings.TrimRight(name[:min(len(name), 30)], "-")
	if tenancy.CheckAppName(name) != nil {
		return "my-app"
	}
	return name
}
