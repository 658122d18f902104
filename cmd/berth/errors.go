package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/internal/errs"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// usageError is a command line that makes no sense.
type usageError struct{ problem apiclient.Problem }

// Error says what is wrong.
func (e *usageError) Error() string { return e.problem.Detail }

func usage(what, fix string) error {
	return &usageError{apiclient.Problem{Code: "usage", Detail: what, Fix: fix}}
}

// exitCode ends with a code of its own and prints nothing more.
type exitCode int

// Error says which.
func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// report prints an error, one line what and one line how to mend it, and gives the
// exit code.
func (c *cli) report(err error) int {
	var silent exitCode
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &silent):
		return int(silent)
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	problem, code := c.problemOf(err)
	if c.json {
		enc := json.NewEncoder(c.err)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(struct {
			Error apiclient.Problem `json:"error"`
		}{problem})
		return code
	}
	faults := problem.Faults
	if len(faults) == 0 {
		faults = []apiclient.Fault{{Field: problem.Field, Detail: problem.Detail, Fix: problem.Fix}}
	}
	for _, f := range faults {
		where := ""
		if f.Field != "" {
			where = f.Field + ": "
		}
		fmt.Fprintf(c.err, "error: %s\n", clean(where+f.Detail, false))
		if f.Fix != "" {
			fmt.Fprintf(c.err, "  fix: %s\n", clean(f.Fix, false))
		}
	}
	return code
}

func (c *cli) problemOf(err error) (apiclient.Problem, int) {
	var (
		use         *usageError
		problem     *apiclient.Problem
		unreachable *apiclient.UnreachableError
		known       *errs.Error
	)
	switch {
	case errors.As(err, &use):
		return use.problem, exitUsage
	case errors.As(err, &problem):
		if problem.Status == http.StatusUnauthorized && problem.Fix == "" {
			problem.Fix = "Log in again with: berth login"
		}
		return *problem, exitFailed
	case errors.As(err, &unreachable):
		return apiclient.Problem{Code: "unreachable", Detail: unreachable.Error(), Fix: reachFix(unreachable)}, exitFailed
	case errors.As(err, &known):
		return apiclient.Problem{Code: string(known.Code), Field: known.Field, Detail: known.Message, Fix: known.Fix}, exitFailed
	}
	return apiclient.Problem{Code: "failed", Detail: err.Error()}, exitFailed
}

// reachFix says what to do about a server that gives no answer.
func reachFix(err *apiclient.UnreachableError) string {
	var otherName x509.HostnameError
	switch {
	case errors.As(err, &otherName):
		return "Use the name that its certificate is for: berth login URL"
	case untrusted(err):
		return "If it is yours, give the certificate to trust: berth login " + err.URL + " --ca-file FILE"
	case err.ThisMachine():
		return "See whether Berth runs with: berth status"
	}
	return "Check the address (berth login URL sets another) and your network."
}
