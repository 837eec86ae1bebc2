// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"container/list"
	"sync"
	"time"
)

const (
	// mostCached bounds the memory of cached packages, in bytes.
	mostCached = 64 << 20
	// indexLifetime is how long a repository's index is believed, and that an address or a tag still
	// leads to the content that it led to.
	indexLifetime = 5 * time.Minute
	// justRead is how old an index may be that is not read again because a chart or version is
	// missing in it.
	justRead = 10 * time.Second
	// mostIndexes bounds how many indexes are kept.
	mostIndexes = 32
)

// chartCache keeps packages by the digest of their content, so that two sources can
// never be mistaken for each other because their files have one name. An
// address only leads to a digest, and for a time only unless its content cannot change.
type chartCache struct {
	mu       sync.Mutex
	digests  map[string]cachedDigest  // by cacheKey
	packages map[string]*list.Element // digest to *chartPackage
	recent   *list.List               // most recently used first
	bytes    int
	indexes  map[string]cachedIndex // cacheKey
}

// cachedDigest is what an address led to at a time; the zero time is for ever.
type cachedDigest struct {
	digest string
	read   time.Time
}

// cachedIndex is a repository's index, read at a time.
type cachedIndex struct {
	index repositoryIndex
	read  time.Time
}

func newChartCache() *chartCache {
	return &chartCache{
		digests:  map[string]cachedDigest{},
		packages: map[string]*list.Element{},
		recent:   list.New(),
		indexes:  map[string]cachedIndex{},
	}
}

// packageAt returns the package of a key, fetching it when it is not there. With fixed true the key
// stands for one content for ever; else it is fetched again after indexLifetime.
func (c *chartCache) packageAt(key string, fixed bool, now time.Time, fetch func() (*chartPackage, error)) (*chartPackage, error) {
	if pkg := c.lookup(key, now); pkg != nil {
		return pkg, nil
	}
	pkg, err := fetch()
	if err != nil {
		return nil, err
	}
	if fixed {
		now = time.Time{}
	}
	c.keep(key, pkg, now)
	return pkg, nil
}

func (c *chartCache) lookup(key string, now time.Time) *chartPackage {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.digests[key]
	if !ok || !at.read.IsZero() && now.Sub(at.read) >= indexLifetime {
		return nil
	}
	element, ok := c.packages[at.digest]
	if !ok {
		return nil
	}
	c.recent.MoveToFront(element)
	return element.Value.(*chartPackage)
}

// keep stores a package and drops the least recently used ones over the limit.
func (c *chartCache) keep(key string, pkg *chartPackage, read time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.digests[key] = cachedDigest{digest: pkg.Digest, read: read}
	if _, ok := c.packages[pkg.Digest]; !ok {
		c.packages[pkg.Digest] = c.recent.PushFront(pkg)
		c.bytes += pkg.size()
	}
	for c.bytes > mostCached && c.recent.Len() > 1 {
		oldest := c.recent.Remove(c.recent.Back()).(*chartPackage)
		c.bytes -= oldest.size()
		delete(c.packages, oldest.Digest)
		for key, at := range c.digests {
			if at.digest == oldest.Digest {
				delete(c.digests, key)
			}
		}
	}
}

// indexAt returns the index of a key, fetching it when it is missing or older than age.
func (c *chartCache) indexAt(key string, now time.Time, age time.Duration, fetch func() (repositoryIndex, error)) (repositoryIndex, error) {
	c.mu.Lock()
	cached, ok := c.indexes[key]
	c.mu.Unlock()
	if ok && now.Sub(cached.read) < age {
		return cached.index, nil
	}
	index, err := fetch()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.indexes[key] = cachedIndex{index: index, read: now}
	for len(c.indexes) > mostIndexes {
		oldest := key
		for other, entry := range c.indexes {
			if entry.read.Before(c.indexes[oldest].read) {
				oldest = other
			}
		}
		delete(c.indexes, oldest)
	}
	for other, entry := range c.indexes {
		if now.Sub(entry.read) >= indexLifetime {
			delete(c.indexes, other)
		}
	}
	return index, nil
}
