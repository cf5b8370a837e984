using System.Net;

namespace Postwright.Core.Posix;

/// <summary>
/// /etc/hosts: names and addresses that this machine knows by itself. Read again when the file changes (looked at no more
/// than once a second). Lines that are no <c>address name ...</c> are passed over, as the system's resolver does.
/// </summary>
internal sealed class HostsFile(string path, TimeProvider timeProvider)
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private Dictionary<string, List<IPAddress>> _addresses = new(StringComparer.OrdinalIgnoreCase);
    private Dictionary<IPAddress, string> _names = [];
    private DateTime _modified;
    private long? _looked;

    /// <summary>The addresses of <paramref name="host"/>, or an empty list.</summary>
    public IReadOnlyList<IPAddress> AddressesOf(string host)
    {
        lock (_lock)
        {
            Refresh();
            return _addresses.TryGetValue(host, out List<IPAddress>? found) ? found : [];
        }
    }

    /// <summary>The first name on the line of <paramref name="address"/>, or null.</summary>
    public string? NameOf(IPAddress address)
    {
        lock (_lock)
        {
            Refresh();
            return _names.GetValueOrDefault(address);
        }
    }

    private void Refresh()
    {
        if (_looked is { } looked && timeProvider.GetElapsedTime(looked) < LookInterval)
        {
            return;
        }

        _looked = timeProvider.GetTimestamp();
        try
        {
            DateTime modified = SystemFiles.LastWriteTimeUtc(path);
            if (modified == _modified)
            {
                return;
            }

            Read(SystemFiles.ReadLines(path));
            _modified = modified;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // What was known stays known.
        }
    }

    private void Read(IEnumerable<string> lines)
    {
        Dictionary<string, List<IPAddress>> addresses = new(StringComparer.OrdinalIgnoreCase);
        Dictionary<IPAddress, string> names = [];
        foreach (string line in lines)
        {
            string[] words = line.Split('#', 2)[0].Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 2 || !IPAddress.TryParse(words[0], out IPAddress? address))
            {
                continue;
            }

            names.TryAdd(address, words[1]);
            foreach (string name in words[1..])
            {
                if (!addresses.TryGetValue(name, out List<IPAddress>? list))
                {
                    addresses.Add(name, list = []);
                }

                list.Add(address);
            }
        }

        (_addresses, _names) = (addresses, names);
    }
}
