using Postwright.Core.Posix;
using Postwright.Core.Seams;

namespace Postwright.Core.Tables;

/// <summary>
/// <c>unix:passwd.byname</c> and <c>unix:group.byname</c>: the system's users and groups, as rows of those files. The
/// password field is always x, and a group's members are left out: lookups ask whether somebody exists.
/// </summary>
internal sealed class UnixTable : ILookupTable
{
    // As many questions at once as a directory service is likely to answer side by side.
    private static readonly DiskThreads Askers = new("users", 8);

    private readonly IHost _host;
    private readonly TableUse _use;
    private readonly bool _users;

    private UnixTable(string name, IHost host, bool users, TableUse use)
    {
        _use = use;
        Name = name;
        _host = host;
        _users = users;
    }

    public string Name { get; }

    public bool MatchesWholeKeysOnly => false;

    public static ILookupTable Open(TableOpener opener, string name, string map) => map switch
    {
        not ("passwd.byname" or "group.byname") => opener.Unavailable(name, $"unknown table: {name}"),
        _ when opener.Host is null => opener.Unavailable(name, $"{name}: there is no user database here"),
        _ => new UnixTable(name, opener.Host, map == "passwd.byname", opener.Use | TableUse.Fold),
    };

    public ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken)
    {
        // A NUL would end the name that the C library sees.
        string name = TableText.Fold(key, _use);
        if (name.Length == 0 || name.Contains('\0'))
        {
            return new(LookupResult.NotFound);
        }

        return _host.MayTakeLong ? new(FindElsewhereAsync(name)) : new(Find(name));
    }

    // A directory service that does not answer holds up who asks, and not the other sessions of a loop.
    private Task<LookupResult> FindElsewhereAsync(string name)
    {
        TaskCompletionSource<LookupResult> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Askers.Queue(() => done.SetResult(Find(name)));
        return done.Task;
    }

    private LookupResult Find(string name) => _users ? FindUser(name) : FindGroup(name);

    private LookupResult FindUser(string name) => _host.FindUser(name, out UserEntry? user) switch
    {
        HostLookup.Found => LookupResult.Found($"{user!.Name}:x:{user.Uid}:{user.Gid}:{user.Gecos}:{user.Home}:{user.Shell}"),
        HostLookup.NotFound => LookupResult.NotFound,
        _ => LookupResult.TemporaryError($"{Name}: the user database cannot be asked"),
    };

    private LookupResult FindGroup(string name) => _host.FindGroup(name, out uint gid) switch
    {
        HostLookup.Found => LookupResult.Found($"{name}:x:{gid}:"),
        HostLookup.NotFound => LookupResult.NotFound,
        _ => LookupResult.TemporaryError($"{Name}: the group database cannot be asked"),
    };
}
