// Package redisstore keeps in Redis what several nodes share and nobody needs to survive: limits, used captcha answers
// and the boards of the waiting rooms. Wipe it, and counts start anew and records are read from the database.
package redisstore

import (
	"strconv"
)

// Every key begins with prefix, so that a Redis can be shared and `redis-cli --scan --pattern 'gapura:*'` shows all.
const prefix = "gapura:"

// limitKey is a string: the instant at which a key is as good as new, in microseconds. It expires then.
func limitKey(limit, key string) string { return prefix + "limit:" + limit + ":" + key }

// spentKey is a string: for a captcha answer that was used the hash of what it was used for. It expires some minutes after the
// answer.
func spentKey(hash string) string { return prefix + "spent:" + hash }

// roomKey is a hash of a waiting room: at (when the record was made, in microseconds) and body (the record as JSON). It
// expires a few seconds after the leader last wrote it.
func roomKey(eventID int64) string { return prefix + "room:" + strconv.FormatInt(eventID, 10) }

// engineKey is a hash of how the nodes' engines fare: by node, the moment in milliseconds and the sample as JSON, with a
// space between.
const engineKey = prefix + "engine"

// cacheKey is a string: a finished document. It expires when it is as old as a document may be.
func cacheKey(name string) string { return prefix + "cache:" + name }

// rushKey is there while registrations wait for the database somewhere, busyKey while they keep a machine busy.
const (
	rushKey = prefix + "rush"
	busyKey = prefix + "busy"
)
