package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// RedisEnv names a Redis that is already running (redis://host:port); the shared instance is then that one. Its databases
// from 1 upward are emptied.
const RedisEnv = "GAPURA_TEST_REDIS"

const (
	redisHint = "apt-get install redis-server, or make setup"
	// redisDatabases is enough for every test of a run to own one.
	redisDatabases = 4096
	// nextDatabaseKey, in database 0, counts the databases handed out, over all test binaries that share a server.
	nextDatabaseKey = "gapura:test:databases"
)

var errNotOurs = errors.New("this server belongs to somebody else: use a private one")

// RedisServer is a Redis that evicts nothing and writes an append-only file every second, as production does.
type RedisServer struct {
	address string
	options *redis.Options
	dir     *dataDir
	process *process // nil when the server belongs to somebody else
}

// StartRedis starts a private, empty server on a free port. Stop ends it and removes the data.
func StartRedis() (*RedisServer, error) {
	program, err := find(redisHint, "redis-server", "valkey-server")
	if err != nil {
		return nil, err
	}
	dir, err := newDir()
	if err != nil {
		return nil, err
	}
	s := &RedisServer{dir: dir}
	if err := onFreePort(func(port int) error { return s.startOn(program, port) }); err != nil {
		return nil, errors.Join(err, dir.remove())
	}
	return s, nil
}

func (s *RedisServer) startOn(program string, port int) error {
	s.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	s.options = &redis.Options{Addr: s.address}
	s.process = &process{
		name: "Redis", path: program, log: s.dir.join("log"), ready: s.ping,
		args: []string{
			"--bind", "127.0.0.1",
			"--port", strconv.Itoa(port),
			"--dir", s.dir.path,
			"--databases", strconv.Itoa(redisDatabases),
			"--maxmemory-policy", "noeviction",
			"--save", "",
			"--appendonly", "yes",
			"--appendfsync", "everysec",
		},
	}
	return s.process.start()
}

func (s *RedisServer) ping(ctx context.Context) error {
	return s.do(func(c *redis.Client) error { return c.Ping(ctx).Err() })
}

// do runs work with a short-lived client on database 0.
func (s *RedisServer) do(work func(*redis.Client) error) error {
	options := *s.options
	options.MaxRetries = -1
	client := redis.NewClient(&options)
	defer client.Close()
	return work(client)
}

// AttachRedis uses a running server; Kill, Start and Stop of such a server are refused.
func AttachRedis(url string) (*RedisServer, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", RedisEnv, err)
	}
	options.DB = 0
	return &RedisServer{address: options.Addr, options: options}, nil
}

// Address is host:port.
func (s *RedisServer) Address() string { return s.address }

// URL is the redis:// address of a database.
func (s *RedisServer) URL(database int) string {
	return "redis://" + s.address + "/" + strconv.Itoa(database)
}

// PID is the server's process id, 0 when it does not run or belongs to somebody else.
func (s *RedisServer) PID() int {
	if s.process == nil {
		return 0
	}
	return s.process.pid()
}

// CreateDatabase returns the number of a database that no other test uses, emptied. After redisDatabases of them the first
// is handed out again.
func (s *RedisServer) CreateDatabase(ctx context.Context) (int, error) {
	var database int
	err := s.do(func(c *redis.Client) error {
		config, err := c.ConfigGet(ctx, "databases").Result()
		if err != nil {
			return err
		}
		total, err := strconv.Atoi(config["databases"])
		if err != nil || total < 2 {
			return fmt.Errorf("redis has %q databases, tests need at least 2", config["databases"])
		}
		next, err := c.Incr(ctx, nextDatabaseKey).Result()
		if err != nil {
			return err
		}
		database = 1 + int((next-1)%int64(total-1))
		return nil
	})
	if err != nil {
		return 0, err
	}
	return database, s.EmptyDatabase(ctx, database)
}

// EmptyDatabase removes every key of a database.
func (s *RedisServer) EmptyDatabase(ctx context.Context, database int) error {
	return s.do(func(c *redis.Client) error {
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Select(ctx, database)
			p.FlushDB(ctx)
			return nil
		})
		return err
	})
}

// Kill ends the server as a power cut would (SIGKILL) and returns when it is gone. Up to a second of writes may be lost.
func (s *RedisServer) Kill() error {
	if s.process == nil {
		return errNotOurs
	}
	return s.process.kill()
}

// Start starts a killed server again on the same data and port and returns when it answers.
func (s *RedisServer) Start() error {
	if s.process == nil {
		return errNotOurs
	}
	return s.process.start()
}

// Stop ends the server and removes its data. A server of somebody else is left alone.
func (s *RedisServer) Stop() error {
	if s.process == nil {
		return nil
	}
	_ = s.process.kill()
	return s.dir.remove()
}
