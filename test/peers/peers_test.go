package peers_test

import (
	"context"
	"database/sql"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"

	"gapura/test/peers"
)

func TestMain(m *testing.M) { peers.Main(m) }

func openSQL(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func openRedis(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return client
}

func variable(t *testing.T, db *sql.DB, name string) string {
	t.Helper()
	var value string
	if err := db.QueryRow("SELECT @@" + name).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestMariaDBIsDurableAndSpeaksUTF8AndUTC(t *testing.T) {
	t.Parallel()
	db := openSQL(t, peers.MariaDB(t).NewDatabase(t))
	for name, want := range map[string]string{
		"global.innodb_flush_log_at_trx_commit": "1",
		"session.time_zone":                     "+00:00",
		"session.character_set_connection":      "utf8mb4",
		"session.character_set_database":        "utf8mb4",
	} {
		if got := variable(t, db, name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestEveryTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	server := peers.MariaDB(t)
	one, other := openSQL(t, server.NewDatabase(t)), openSQL(t, server.NewDatabase(t))
	for _, db := range []*sql.DB{one, other} {
		if _, err := db.Exec("CREATE TABLE same_name (id INT PRIMARY KEY)"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKilledMariaDBKeepsWhatItCommitted(t *testing.T) {
	t.Parallel()
	server := peers.PrivateMariaDB(t)
	db := openSQL(t, server.NewDatabase(t))
	if _, err := db.Exec("CREATE TABLE kept (id INT PRIMARY KEY) ENGINE=InnoDB"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO kept VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := db.Ping(); err == nil || server.PID() != 0 {
		t.Fatalf("the server still lives: ping %v, pid %d", err, server.PID())
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var id int
	if err := db.QueryRow("SELECT id FROM kept").Scan(&id); err != nil || id != 7 {
		t.Fatalf("id = %d, %v; want 7", id, err)
	}
}

func TestRedisDatabasesAreSeparateAndNothingIsEvicted(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := peers.Redis(t)
	one, other := openRedis(t, server.NewDatabase(t)), openRedis(t, server.NewDatabase(t))
	if err := one.Set(ctx, "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := other.Exists(ctx, "key").Result(); n != 0 || err != nil {
		t.Errorf("the other database has the key: %d, %v", n, err)
	}
	policy, err := one.ConfigGet(ctx, "maxmemory-policy").Result()
	if err != nil || policy["maxmemory-policy"] != "noeviction" {
		t.Errorf("policy %v, %v", policy, err)
	}
}

func TestKilledRedisComesBackOnTheSamePort(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := peers.PrivateRedis(t)
	client := openRedis(t, server.NewDatabase(t))
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(ctx).Err(); err == nil {
		t.Fatal("the server still answers")
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(ctx).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestAServerOfSomebodyElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	owner := peers.PrivateRedis(t)
	guest, err := peers.AttachRedis(owner.URL(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := guest.Kill(); err == nil {
		t.Error("a guest killed the server")
	}
	if err := guest.Stop(); err != nil {
		t.Error(err)
	}
	if err := openRedis(t, owner.URL(0)).Ping(context.Background()).Err(); err != nil {
		t.Errorf("the server is gone: %v", err)
	}
}
