// Command db starts the shop's PostgreSQL: it makes the database in the volume the
// first time, and then becomes the server.
//
// The making is safe against being killed at any point: everything happens in a folder
// of another name, which gets its real name when all of it is on disk. It runs as any
// user that /etc/passwd knows, and writes to the volume only.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// config is what the environment says.
type config struct {
	// volume is where the volume is mounted, bin where PostgreSQL's programs are.
	volume, bin string
	user        string
	database    string
	password    string
}

func (c config) data() string { return filepath.Join(c.volume, "pgdata") }

func main() {
	c, err := fromEnvironment(os.Getenv)
	if err == nil {
		err = initialize(c)
	}
	if err == nil {
		err = become(c)
	}
	slog.Error("the database cannot start", "error", err)
	os.Exit(1)
}

func fromEnvironment(env func(string) string) (config, error) {
	or := func(key, fallback string) string {
		if value := env(key); value != "" {
			return value
		}
		return fallback
	}
	c := config{
		volume:   or("PGVOLUME", "/var/lib/postgresql/data"),
		bin:      or("PGBIN", "/usr/lib/postgresql/15/bin"),
		user:     or("POSTGRES_USER", "shop"),
		database: or("POSTGRES_DB", "shop"),
		password: env("POSTGRES_PASSWORD"),
	}
	if c.password == "" {
		return c, errors.New("POSTGRES_PASSWORD is not set: name it under secrets in the app file, and berth apply asks for it")
	}
	for name, value := range map[string]string{"POSTGRES_USER": c.user, "POSTGRES_DB": c.database} {
		if strings.ContainsAny(value, "\"'\\\n") {
			return c, fmt.Errorf("%s may hold no quotes, backslashes or line ends", name)
		}
	}
	return c, nil
}

// initialize makes the database unless it is there.
func initialize(c config) error {
	if _, err := os.Stat(filepath.Join(c.data(), "PG_VERSION")); err == nil {
		return nil
	}
	fresh := c.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil { // left by one that was killed
		return err
	}
	slog.Info("making the database", "user", c.user, "database", c.database)
	password := filepath.Join(c.volume, ".password")
	if err := os.WriteFile(password, []byte(c.password), 0o600); err != nil {
		return err
	}
	defer func() { _ = os.Remove(password) }()
	err := command(filepath.Join(c.bin, "initdb"), "",
		"--pgdata", fresh, "--username", c.user, "--pwfile", password, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions")
	if err != nil {
		return fmt.Errorf("initdb: %w", err)
	}
	if err := allowNetwork(filepath.Join(fresh, "pg_hba.conf")); err != nil {
		return err
	}
	if c.database != "postgres" {
		// In single-user mode: no server listens before the database is complete.
		statement := fmt.Sprintf("CREATE DATABASE \"%s\" OWNER \"%s\"\n", c.database, c.user)
		if err := command(filepath.Join(c.bin, "postgres"), statement, "--single", "-D", fresh, "postgres"); err != nil {
			return fmt.Errorf("creating the database: %w", err)
		}
	}
	if err := os.Rename(fresh, c.data()); err != nil {
		return err
	}
	return sync(c.volume)
}

// allowNetwork lets other components in, with the password only.
func allowNetwork(name string) (err error) {
	file, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.WriteString("host all all all scram-sha-256\n"); err != nil {
		return err
	}
	return file.Sync()
}

// sync makes a renaming last.
func sync(dir string) (err error) {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	return folder.Sync()
}

func command(program, input string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(input)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	// The environment's PG… settings are the server's, not those of its making.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	return cmd.Run()
}

// become replaces this process by the server, which then gets the signals.
func become(c config) error {
	return syscall.Exec(filepath.Join(c.bin, "postgres"), serverArgs(c), []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"})
}

func serverArgs(c config) []string {
	return []string{
		"postgres", "-D", c.data(),
		"-c", "listen_addresses=*",
		// The image's own file system may be read-only.
		"-c", "unix_socket_directories=" + c.volume,
		"-c", "logging_collector=off",
		"-c", "log_destination=stderr",
		// The image comes without the compiler for it.
		"-c", "jit=off",
		// A pod's /dev/shm is small.
		"-c", "dynamic_shared_memory_type=mmap",
	}
}
