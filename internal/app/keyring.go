package app

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gapura/internal/registration"
	"gapura/internal/store"
)

// appKeyFile keeps the key that a local installation makes for itself, readable by its user alone.
const appKeyFile = "app.key"

// appKeys returns APP_KEY and the previous keys; without an APP_KEY the one in the data directory, made if there is none.
func appKeys(cfg *Config) ([][]byte, error) {
	keys, err := cfg.keys()
	if err != nil || cfg.AppKey != "" {
		return keys, err
	}
	path := filepath.Join(cfg.DataDirectory, appKeyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeAppKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the key in %s: %w", path, err)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(strings.TrimPrefix(string(text), "base64:")))
	if err != nil || len(raw) < minKeyBytes {
		return nil, fmt.Errorf("%s is damaged: restore it from a backup, or set APP_KEY", path)
	}
	return append([][]byte{raw}, keys...), nil
}

// makeAppKey writes a fresh key, or returns the one that another process was faster to write. The name appears together with
// the content and both are on disk when this returns: half a key, or one that a power cut takes back, would open nothing.
func makeAppKey(path string) ([]byte, error) {
	raw := make([]byte, minKeyBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the program instead
	text := []byte("base64:" + base64.StdEncoding.EncodeToString(raw) + "\n")
	directory := filepath.Dir(path)
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(directory, appKeyFile+"-*") // readable by its user alone
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := syncDirectory(directory); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// keyring derives the program's keys. What may change with APP_KEY is derived from it; what must outlive it is random,
// stored in the database and sealed with it.
type keyring struct{ keys [][]byte }

// derive returns 32 bytes for one purpose from every application key, the current one first.
func (k keyring) derive(purpose string) [][]byte {
	all := make([][]byte, len(k.keys))
	for i, key := range k.keys {
		derived, err := hkdf.Key(sha256.New, key, nil, purpose, 32)
		if err != nil {
			panic(fmt.Sprintf("hkdf of 32 bytes: %v", err)) // only fails for more than 8,160 bytes
		}
		all[i] = derived
	}
	return all
}

// lasting returns the secret of that name from the database, made there the first time. One that an older application key
// sealed is sealed again with the current one.
func (k keyring) lasting(ctx context.Context, s *store.Store, name string) ([]byte, error) {
	sealKeys := k.derive("seal " + name)
	sealed, err := s.Secret(ctx, name, func() ([]byte, error) {
		fresh := make([]byte, 32)
		_, _ = rand.Read(fresh)
		return seal(sealKeys[0], fresh)
	})
	if err != nil {
		return nil, err
	}
	for i, key := range sealKeys {
		secret, err := unseal(key, sealed)
		if err != nil {
			continue
		}
		if i == 0 {
			return secret, nil
		}
		again, err := seal(sealKeys[0], secret)
		if err != nil {
			return nil, err
		}
		return secret, s.Reseal(ctx, name, again)
	}
	return nil, fmt.Errorf("APP_KEY does not open the database's secret %q: put the former key into APP_PREVIOUS_KEYS", name)
}

func seal(key, secret []byte) ([]byte, error) {
	box, err := aead(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, box.NonceSize())
	_, _ = rand.Read(nonce)
	return box.Seal(nonce, nonce, secret, nil), nil
}

func unseal(key, sealed []byte) ([]byte, error) {
	box, err := aead(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < box.NonceSize() {
		return nil, errors.New("a sealed secret is too short")
	}
	return box.Open(nil, sealed[:box.NonceSize()], sealed[box.NonceSize():], nil)
}

func aead(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return cipher.NewGCM(block)
}

// registration returns the keys that registration works with. The claims' key must not change while an event is live, or the
// same person would look new; the tokens' may, because former ones stay accepted.
func (k keyring) registration(ctx context.Context, s *store.Store) (registration.Secrets, error) {
	claims, err := k.lasting(ctx, s, "claims")
	if err != nil {
		return registration.Secrets{}, err
	}
	return registration.Secrets{Claims: claims, Tokens: k.derive("order tokens")}, nil
}
