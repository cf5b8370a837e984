using Postwright.Core.Seams;
using Postwright.Simulation.Engine;
using Postwright.Simulation.World;

namespace Postwright.Simulation.Disk;

/// <summary>
/// The disk as one process sees it. Every call that changes something is an event at which the process may die; what a dead
/// process still calls, on its way out of the step it was in, does nothing.
/// </summary>
internal sealed class LifeDisk(Life life, Platter platter, DiskFaults faults, Rng chance) : IDisk
{
    private const int InputOutput = DiskException.InputOutput;

    /// <summary>Told after each sync that was good, with what it made durable.</summary>
    public Action<string, SimNode>? BeforeSync { get; set; }

    /// <summary>Told after each sync of a file or directory.</summary>
    public Action? AfterSync { get; set; }

    /// <summary>A sync failed before the process was up.</summary>
    public bool SyncFailedAtStart { get; private set; }

    /// <summary>Syncs, and other work of the disk's own threads, that take their time now.</summary>
    public int SyncsUnderWay { get; private set; }

    /// <summary>When true, reads are the ledger's: no fault hits them and nothing is counted.</summary>
    public bool IsObserving { get; set; }

    public IDiskFile Open(string path, DiskOpen mode)
    {
        Event(mode == DiskOpen.CreateNew ? "create" : "open", path);
        SimNode? node = platter.Find(path);
        if (mode == DiskOpen.CreateNew)
        {
            if (node is not null)
            {
                throw new DiskException("open", path, DiskException.Exists);
            }

            FailMaybe(faults.FailingNames, "open", path);
            if (faults.Full && !life.IsDead)
            {
                life.World.Count("disk full");
                throw new DiskException("open", path, DiskException.NoSpace);
            }

            node = life.IsDead ? new SimNode(0) : platter.Create(path);
            Die();
        }
        else if (node is null)
        {
            throw new DiskException("open", path, DiskException.NoSuchFile);
        }
        else
        {
            FailMaybe(faults.FailingReads, "open", path);
        }

        return new Handle(this, node, path);
    }

    public void Rename(string from, string to)
    {
        Event("rename", from);
        FailMaybe(faults.FailingNames, "rename", from);
        if (!life.IsDead)
        {
            platter.Rename(from, to);
        }

        Die();
    }

    public void Delete(string path)
    {
        Event("delete", path);
        FailMaybe(faults.FailingNames, "unlink", path);
        if (!life.IsDead)
        {
            platter.Delete(path);
        }

        Die();
    }

    public void CreateDirectory(string path)
    {
    }

    public void SyncDirectory(string path)
    {
        Event("sync directory", path);
        FailMaybe(faults.FailingNames, "fsync", path);
        if (!life.IsDead)
        {
            if (!Lies)
            {
                platter.SyncDirectory(path);
            }

            AfterSync?.Invoke();
        }

        Die();
    }

    public IReadOnlyList<string> List(string directory) => platter.List(directory);

    public long FreeBytes(string directory) => faults.Full ? 0 : Math.Max(0, platter.Capacity - platter.Used);

    public Task OffloadAsync(Action work)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        life.Context.Run(async () =>
        {
            if (chance.Percent(50))
            {
                await SlowAsync();
            }

            try
            {
                work();
                done.SetResult();
            }
            catch (Exception failure) when (failure is not SimulationException)
            {
                done.SetException(failure);
            }
        });
        return done.Task;
    }

    /// <summary>The time that a sync takes.</summary>
    private async Task SlowAsync()
    {
        TimeSpan slow = faults.SlowSync;
        long ticks = chance.Between(slow.Ticks / 8, slow.Ticks);
        if (slow > TimeSpan.FromSeconds(1))
        {
            life.World.Count("slow sync");
        }

        SyncsUnderWay++;
        await Task.Delay(TimeSpan.FromTicks(ticks), life.Time);
        SyncsUnderWay--;
    }

    /// <summary>Notes an event; the plan may end the process just before it.</summary>
    private void Event(string call, string path)
    {
        if (life.IsDead || IsObserving)
        {
            return;
        }

        life.World.History.Note(life.Name, $"disk: {call} {path}");
        Die();
    }

    private void Die() => life.DiskEvent();

    private void FailMaybe(int percent, string call, string path)
    {
        if (percent > 0 && !life.IsDead && !IsObserving && chance.Percent(percent))
        {
            life.World.Count($"disk {call} fails");
            life.World.History.Note(life.Name, $"disk: {call} {path} FAILS");
            throw new DiskException(call, path, InputOutput);
        }
    }

    /// <summary>An open file.</summary>
    private sealed class Handle : IDiskFile
    {
        private readonly LifeDisk _disk;
        private readonly SimNode _node;
        private readonly string _path;
        private readonly Life _life;
        private bool _open = true;

        public Handle(LifeDisk disk, SimNode node, string path)
        {
            (_disk, _node, _path, _life) = (disk, node, path, disk.Life);
            if (!_life.IsDead)
            {
                Platter platter = disk.Platter;
                _node.Handles++;
                platter.Opened();
            }
        }

        public long Length => _node.Length;

        public int Read(Span<byte> buffer, long offset)
        {
            if (!_life.IsDead)
            {
                _disk.FailMaybe(_disk.Faults.FailingReads, "read", _path);
            }

            return _node.Read(buffer, offset);
        }

        public void Write(ReadOnlySpan<byte> bytes, long offset)
        {
            int errno = TryWrite(bytes, offset);
            if (errno != 0)
            {
                throw new DiskException("write", _path, errno);
            }
        }

        public void Preallocate(long length)
        {
            _disk.Event("preallocate", _path);
            if (_life.IsDead)
            {
                return;
            }

            if (_disk.IsFullFor(length - _node.Length))
            {
                _life.World.Count("disk full");
                throw new DiskException("fallocate", _path, DiskException.NoSpace);
            }

            _node.Extend(length);
            _disk.Die();
        }

        public void Truncate(long length)
        {
            _disk.Event("truncate", _path);
            _disk.FailMaybe(_disk.Faults.FailingNames, "ftruncate", _path);
            if (!_life.IsDead)
            {
                _node.Truncate(length);
            }

            _disk.Die();
        }

        public void Sync()
        {
            int errno = TrySync();
            if (errno != 0)
            {
                throw new DiskException("fdatasync", _path, errno);
            }
        }

        public ValueTask<int> WriteAndSyncAsync(IReadOnlyList<ReadOnlyMemory<byte>> parts, long offset, bool onCallersThread)
        {
            foreach (ReadOnlyMemory<byte> part in parts)
            {
                int errno = TryWrite(part.Span, offset);
                if (errno != 0)
                {
                    return Later(errno);
                }

                offset += part.Length;
            }

            // A small batch blocks its caller, so that nothing happens in between; half of the time it is taken for a larger one.
            return onCallersThread && _disk.Chance.Percent(50) ? ValueTask.FromResult(TrySync()) : new ValueTask<int>(SyncLaterAsync());
        }

        public bool TryLock()
        {
            if (_node.LockedBy is { } other && other != _life)
            {
                return false;
            }

            _node.LockedBy = _life;
            return true;
        }

        public void Dispose()
        {
            if (_open && !_life.IsDead)
            {
                _node.Handles--;
                _disk.Platter.OpenHandles--;
                if (_node.LockedBy == _life && _path.EndsWith("/lock", StringComparison.Ordinal))
                {
                    _node.LockedBy = null;
                }
            }

            _open = false;
        }

        private static async ValueTask<int> Later(int errno)
        {
            await Task.Yield();
            return errno;
        }

        private async Task<int> SyncLaterAsync()
        {
            await _disk.SlowAsync();
            return TrySync();
        }

        private int TryWrite(ReadOnlySpan<byte> bytes, long offset)
        {
            if (bytes.IsEmpty)
            {
                return 0;
            }

            if (_life.IsDead)
            {
                return 0;
            }

            if (!_disk.IsObserving)
            {
                _life.World.History.Note(_life.Name, $"disk: write {_path} {offset}+{bytes.Length}");
                _life.World.History.Mix(bytes);
            }

            if (_life.DiesNow)
            {
                // In the middle of the write.
                _node.Write(bytes[.._disk.Chance.Next(bytes.Length + 1)], offset);
                _disk.Die();
                return 0;
            }

            _disk.Die();
            bool full = offset + bytes.Length > _node.Length && _disk.IsFullFor(offset + bytes.Length - _node.Length);
            if (full || (_disk.Faults.FailingWrites > 0 && _disk.Chance.Percent(_disk.Faults.FailingWrites)))
            {
                _life.World.Count(full ? "disk full" : "disk write fails");
                if (!full)
                {
                    _node.Write(bytes[.._disk.Chance.Next(bytes.Length)], offset);
                }

                _life.World.History.Note(_life.Name, $"disk: write {_path} FAILS");
                return full ? DiskException.NoSpace : InputOutput;
            }

            _node.Write(bytes, offset);
            if (_disk.Chance.Percent(3))
            {
                _node.WriteBack(_disk.Chance);
            }

            return 0;
        }

        private int TrySync()
        {
            if (_life.IsDead)
            {
                return 0;
            }

            _life.World.History.Note(_life.Name, $"disk: sync {_path}");
            _disk.Die();
            if (_life.IsDead)
            {
                return 0;
            }

            if (_disk.Faults.FailingSyncs > 0 && _disk.Chance.Percent(_disk.Faults.FailingSyncs))
            {
                _life.World.Count("disk sync fails");
                _disk.SyncFailedAtStart |= !_life.IsUp;
                _node.FailSync(_disk.Chance);
                _life.World.History.Note(_life.Name, $"disk: sync {_path} FAILS");
                return InputOutput;
            }

            if (_life.World.Planted != PlantedFault.DiskLies)
            {
                _disk.BeforeSync?.Invoke(_path, _node);
            }

            if (!_disk.Lies)
            {
                _node.Sync();
            }

            _disk.AfterSync?.Invoke();
            _disk.Die();
            return 0;
        }
    }

    private bool Lies => life.World.Planted is PlantedFault.DiskLies or PlantedFault.DiskLiesToEverybody;

    private Life Life => life;

    private Platter Platter => platter;

    private DiskFaults Faults => faults;

    private Rng Chance => chance;

    private bool IsFullFor(long growth) => growth > 0 && (faults.Full || !platter.HasRoomFor(growth));
}
