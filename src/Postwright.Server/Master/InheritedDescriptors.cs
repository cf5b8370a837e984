namespace Postwright.Server.Master;

/// <summary>
/// Descriptors that whoever started this process passed from 3 on, in the LISTEN_FDS convention: LISTEN_PID is this process,
/// LISTEN_FDS how many, LISTEN_FDNAMES their names, with colons between. Master passes them so, and systemd's socket
/// activation does. Only one caller may take them; they are closed on exec from then on.
/// </summary>
public sealed class InheritedDescriptors
{
    /// <summary>The first of them.</summary>
    public const int First = 3;

    // As many as one descriptor message holds; see MasterChannel.
    private const int Limit = 250;
    private readonly List<(string Name, int Descriptor)> _all = [];

    private InheritedDescriptors()
    {
    }

    /// <summary>Names and descriptors in their order.</summary>
    public IReadOnlyList<(string Name, int Descriptor)> All => _all;

    /// <summary>Takes what the environment announces; nothing if that is meant for another process.</summary>
    public static InheritedDescriptors Take()
    {
        InheritedDescriptors taken = new();
        if (!int.TryParse(Environment.GetEnvironmentVariable("LISTEN_PID"), out int process) || process != Environment.ProcessId
            || !int.TryParse(Environment.GetEnvironmentVariable("LISTEN_FDS"), out int count) || count is < 1 or > Limit)
        {
            return taken;
        }

        string[] names = (Environment.GetEnvironmentVariable("LISTEN_FDNAMES") ?? "").Split(':');
        for (int i = 0; i < count; i++)
        {
            _ = MasterCalls.Control(First + i, 2, 1); // F_SETFD, FD_CLOEXEC
            taken._all.Add((i < names.Length ? names[i] : "unknown", First + i));
        }

        Environment.SetEnvironmentVariable("LISTEN_PID", null);
        Environment.SetEnvironmentVariable("LISTEN_FDS", null);
        Environment.SetEnvironmentVariable("LISTEN_FDNAMES", null);
        return taken;
    }

    /// <summary>The descriptor of that name, or null.</summary>
    public int? Find(string name)
    {
        foreach ((string candidate, int descriptor) in _all)
        {
            if (candidate == name)
            {
                return descriptor;
            }
        }

        return null;
    }
}
