package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// item is something to buy.
type item struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Cents       int64  `json:"cents"`
}

// goods are on the shelf from the start.
var goods = []item{
	{1, "Rocket skates", "For the straight stretches. Brakes sold separately.", 19900},
	{2, "Portable hole", "Place on any flat surface. Step back.", 4999},
	{3, "Giant magnet", "Attracts iron, attention and the occasional train.", 12900},
	{4, "Instant tunnel", "A tin of black paint. Works for some.", 1299},
	{5, "Earthquake pills", "Not effective on road runners.", 899},
	{6, "Parasol", "Shade of last resort.", 2450},
}

// store keeps the goods. Its connections are made when they are needed.
type store struct {
	pool  *pgxpool.Pool
	ready atomic.Bool
}

func newStore(url, password string) (*store, error) {
	if url == "" {
		return nil, errors.New("POSTGRES_URL is not set: say where the database is, such as postgres://shop@db:5432/shop")
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("POSTGRES_URL cannot be read: write it as postgres://user@host:port/database")
	}
	if config.ConnConfig.Password == "" {
		config.ConnConfig.Password = password
	}
	config.ConnConfig.ConnectTimeout = 3 * time.Second
	config.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("preparing the database's connections: %w", err)
	}
	return &store{pool: pool}, nil
}

// prepare makes the table, as often as it takes.
func (s *store) prepare(ctx context.Context, retry <-chan time.Time) {
	for {
		err := s.fill(ctx)
		if err == nil {
			s.ready.Store(true)
			slog.Info("the database is ready")
			return
		}
		slog.Warn("waiting for the database", "error", err)
		select {
		case <-retry:
		case <-ctx.Done():
			return
		}
	}
}

// fill makes the table with the goods once, whichever process comes first.
func (s *store) fill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		for _, statement := range []string{
			"SELECT pg_advisory_xact_lock(4217)",
			"CREATE TABLE IF NOT EXISTS items (id bigint PRIMARY KEY, name text NOT NULL, description text NOT NULL, cents bigint NOT NULL)",
		} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		for _, item := range goods {
			if _, err := tx.Exec(ctx, "INSERT INTO items VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
				item.ID, item.Name, item.Description, item.Cents); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *store) reached() bool { return s.ready.Load() }

var errNotReady = errors.New("the database is not ready yet")

func (s *store) items(ctx context.Context) ([]item, error) {
	if !s.reached() {
		return nil, errNotReady
	}
	rows, err := s.pool.Query(ctx, "SELECT id, name, description, cents FROM items ORDER BY id")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[item])
}
