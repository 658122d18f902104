package logging

import (
	"cmp"
	"io"
	"log/slog"
	"os"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/berth-dev/berth/internal/errs"
)

// The formats lines can have.
const (
	FormatText = "text"
	FormatJSON = "json"
)

// Environment variables that give the defaults.
const (
	EnvFormat = "BERTH_LOG_FORMAT"
	EnvLevel  = "BERTH_LOG_LEVEL"
)

// Config is how a process logs.
type Config struct {
	// Format is FormatText or FormatJSON.
	Format string
	// Level is the least level written: debug, info, warn or error.
	Level string
}

// FromEnvironment gives the defaults: text lines from level info on, unless the
// environment says otherwise.
func FromEnvironment() Config {
	return Config{
		Format: cmp.Or(os.Getenv(EnvFormat), FormatText),
		Level:  cmp.Or(os.Getenv(EnvLevel), "info"),
	}
}

// Validate says what is wrong with the configuration, as an errs.Error.
func (c Config) Validate() error {
	if c.Format != FormatText && c.Format != FormatJSON {
		return errs.New(errs.Invalid, "log-format", "there is no format "+c.Format, "choose text or json")
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return errs.New(errs.Invalid, "log-level", "there is no level "+c.Level, "choose debug, info, warn or error")
	}
	return nil
}

// New makes a logger that writes to w. The configuration must be valid.
func New(w io.Writer, config Config) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(config.Level)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if config.Format == FormatJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// Logr gives the logger in the form that controller-runtime wants.
func Logr(logger *slog.Logger) logr.Logger {
	return logr.FromSlogHandler(logger.Handler())
}

// Install makes the logger the one that libraries without a parameter for it use:
// slog's default, klog and controller-runtime. Only a main function calls it.
func Install(logger *slog.Logger) {
	slog.SetDefault(logger)
	klog.SetLogger(Logr(logger))
	ctrllog.SetLogger(Logr(logger))
}
