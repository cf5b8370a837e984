using System.Collections;
using System.Runtime.InteropServices;

namespace Postwright.Server.Master;

/// <summary>A descriptor to pass to a child, and the name under which it finds it.</summary>
public readonly record struct PassedDescriptor(string Name, int Descriptor);

/// <summary>Who a child becomes: numbers of user and group; it belongs to no other group.</summary>
public readonly record struct ChildIdentity(uint User, uint Group);

/// <summary>What to start.</summary>
/// <param name="Program">Full path.</param>
/// <param name="Arguments">With the name that it is called by in front.</param>
public sealed record SpawnRequest(string Program, IReadOnlyList<string> Arguments)
{
    /// <summary>Descriptors from 3 on, in this order; everything else is closed.</summary>
    public IReadOnlyList<PassedDescriptor> Descriptors { get; init; } = [];

    /// <summary>More variables of the environment.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>A session of its own, and nothing but /dev/null as input and output: a daemon.</summary>
    public bool Detached { get; init; }
}

/// <summary>
/// Starts a process with exactly the descriptors that are named, default signals, and nothing of ours besides. Identity and
/// limits are the trampoline's (<see cref="Trampoline"/>), which such a request usually names as its program.
/// </summary>
internal static unsafe class Spawn
{
    // glibc: posix_spawn_file_actions_t 80, posix_spawnattr_t 336, sigset_t 128 bytes.
    private const int OpaqueSize = 512;

    // Sources are moved above every target first, so that no dup2 overwrites one that is still needed.
    private const int SafeRange = 300;

    /// <summary>Starts it; the process, or -1 and why not.</summary>
    public static int Start(SpawnRequest request, out string? error)
    {
        List<int> moved = [];
        byte* actions = stackalloc byte[OpaqueSize];
        byte* attributes = stackalloc byte[OpaqueSize];
        byte* signals = stackalloc byte[OpaqueSize];
        using NativeStrings path = new([request.Program]);
        using NativeStrings arguments = new(request.Arguments);
        using NativeStrings environment = new(EnvironmentOf(request));
        _ = MasterCalls.ActionsInit(actions);
        _ = MasterCalls.AttributesInit(attributes);
        try
        {
            _ = MasterCalls.FillSignals(signals);
            _ = MasterCalls.AttributesSetDefaults(attributes, signals);
            _ = MasterCalls.EmptySignals(signals);
            _ = MasterCalls.AttributesSetMask(attributes, signals);
            _ = MasterCalls.AttributesSetFlags(attributes, (short)(MasterCalls.SpawnSignalDefaults | MasterCalls.SpawnSignalMask
                | (request.Detached ? MasterCalls.SpawnNewSession : 0)));
            for (int i = 0; request.Detached && i < 3; i++)
            {
                _ = MasterCalls.ActionsOpen(actions, i, "/dev/null", 2, 0);
            }

            for (int i = 0; i < request.Descriptors.Count; i++)
            {
                int high = MasterCalls.Control(request.Descriptors[i].Descriptor, MasterCalls.DuplicateCloseOnExec, SafeRange);
                if (high < 0)
                {
                    error = $"duplicate descriptor: {MasterCalls.LastError}";
                    return -1;
                }

                moved.Add(high);
                _ = MasterCalls.ActionsDuplicate(actions, high, InheritedDescriptors.First + i);
            }

            // Ours are closed on exec; whoever started us may have left others open.
            _ = MasterCalls.ActionsCloseFrom(actions, InheritedDescriptors.First + request.Descriptors.Count);
            int failed = MasterCalls.Spawn(out int process, path.Vector[0], actions, attributes, arguments.Vector, environment.Vector);
            error = failed == 0 ? null : Marshal.GetPInvokeErrorMessage(failed);
            return failed == 0 ? process : -1;
        }
        finally
        {
            _ = MasterCalls.ActionsDestroy(actions);
            _ = MasterCalls.AttributesDestroy(attributes);
            foreach (int descriptor in moved)
            {
                _ = MasterCalls.Close(descriptor);
            }
        }
    }

    private static List<string> EnvironmentOf(SpawnRequest request)
    {
        SortedDictionary<string, string> all = new(StringComparer.Ordinal);
        foreach (DictionaryEntry entry in Environment.GetEnvironmentVariables())
        {
            all[(string)entry.Key] = (string?)entry.Value ?? "";
        }

        foreach ((string name, string value) in request.Environment)
        {
            all[name] = value;
        }

        if (request.Descriptors.Count > 0)
        {
            all["LISTEN_FDS"] = $"{request.Descriptors.Count}";
            all["LISTEN_FDNAMES"] = string.Join(':', request.Descriptors.Select(d => d.Name));
        }

        return [.. all.Select(entry => $"{entry.Key}={entry.Value}")];
    }
}
