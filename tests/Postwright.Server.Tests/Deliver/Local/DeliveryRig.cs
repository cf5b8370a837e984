using System.Text;
using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Core.Tables;
using Postwright.Core.Tables.Remote;
using Postwright.Server.Deliver;
using Postwright.Server.Deliver.Agent;
using Postwright.Server.Queue;
using Postwright.Testing;
using Postwright.Testing.Logging;

namespace Postwright.Server.Tests.Deliver.Local;

/// <summary>
/// A place for deliveries: a directory that others may enter, users with homes in it (as root with numbers of their own, else
/// all with the tester's), a spool, a configuration, and the agent's services on threads of their own.
/// </summary>
internal sealed class DeliveryRig : IDisposable, IHost
{
    private readonly Dictionary<string, UserEntry> _users = new(StringComparer.Ordinal);
    private readonly DeliveryWorkers _workers = new("delivery");

    public DeliveryRig()
    {
        Root = Directory.CreateTempSubdirectory("postwright-local-").FullName;
        File.SetUnixFileMode(Root, (UnixFileMode)0b111_101_101);
        Spool = Make("spool", 0b111_111_111);
        Make("home", 0b111_101_101);
        AddUser("alice", 1501);
        AddUser("bob", 1502);
        _users["nobody"] = new UserEntry("nobody", Number(65534), Number(65534), "", "/nonexistent", "/bin/false");
        Log = new MailLog(Lines, "postfix/local", 1);
        Tables = new TableRegistry(Log, TimeProvider.System, remote: new RemoteTables(MailConfiguration.FromText("")));
    }

    public static bool IsRoot => Identity.CanChange;

    public string Root { get; }

    public string Spool { get; }

    public LogLines Lines { get; } = new();

    public MailLog Log { get; }

    public TableRegistry Tables { get; }

    public string HostName => "mx.test";

    /// <summary>When set, the user database is down.</summary>
    public bool UsersUnavailable { get; set; }

    public static uint Number(uint wanted) => IsRoot ? wanted : Identity.EffectiveUser;

    public string HomeOf(string user) => Path.Combine(Root, "home", user);

    public string Make(string name, int mode)
    {
        string path = Path.Combine(Root, name);
        Directory.CreateDirectory(path);
        File.SetUnixFileMode(path, (UnixFileMode)mode);
        return path;
    }

    public void AddUser(string name, uint uid)
    {
        uid = Number(uid);
        uint gid = IsRoot ? uid : Identity.EffectiveGroup;
        _users[name] = new UserEntry(name, uid, gid, "", HomeOf(name), "/bin/sh");
        Directory.CreateDirectory(HomeOf(name));
        Give(HomeOf(name), uid, gid);
    }

    /// <summary>A file of a user's, such as .forward.</summary>
    public void Write(string user, string name, string text, int mode = 0b110_100_100)
    {
        string path = Path.Combine(HomeOf(user), name);
        File.WriteAllText(path, text);
        File.SetUnixFileMode(path, (UnixFileMode)mode);
        Give(path, _users[user].Uid, _users[user].Gid);
    }

    public static void Give(string path, uint uid, uint gid)
    {
        if (IsRoot)
        {
            int descriptor = DeliveryFile.Open(path, OpenFlags.ReadOnly);
            Assert.Equal(0, DeliveryFile.ChangeOwner(descriptor, uid, gid));
            DeliveryFile.Close(descriptor);
        }
    }

    public AgentServices Services(string mainCf = "", string? masterCf = null, TableRegistry? tables = null) =>
        AgentServices.From(Configuration(mainCf, masterCf), tables ?? Tables, this, TimeProvider.System, Log, TestPrograms.PathOf("postwright"));

    public MailConfiguration Configuration(string mainCf, string? masterCf = null)
    {
        string text = $"""
            myhostname = mx.test
            myorigin = example.com
            mail_spool_directory = {Spool}
            alias_maps =
            deliver_lock_attempts = 1
            queue_directory = {Root}
            {mainCf}
            """;
        masterCf ??= "local unix - n n - - local\nvirtual unix - n n - - virtual\n";
        return MailConfiguration.FromText(text, masterCf);
    }

    public async Task<RecipientResult> Deliver(
        string address, string content = "Subject: hi\r\n\r\nHello\r\n", string mainCf = "", string sender = "sender@example.org",
        string transport = "local", string via = "", string? original = null, MessageContent? stored = null)
    {
        var agent = new InProcessAgent(Services(mainCf), _workers, Log);
        return Assert.Single(await agent.DeliverAsync(
            Request(address, stored ?? new MemoryContent(Encoding.UTF8.GetBytes(content)), sender, transport, via, original),
            TestContext.Current.CancellationToken));
    }

    public static DeliveryRequest Request(
        string address, MessageContent content, string sender = "sender@example.org", string transport = "local", string via = "", string? original = null)
    {
        var recipient = new EnvelopeRecipient(address, original ?? address) { Via = via };
        return new DeliveryRequest
        {
            Envelope = new Envelope
            {
                QueueId = "3TESTID",
                Arrival = DateTimeOffset.UnixEpoch,
                Sender = sender,
                EnvelopeId = "id+1",
                Recipients = [recipient],
                Origin = new MessageOrigin("client.test", "192.0.2.1", "4711", "helo.test", "ESMTP"),
            },
            Content = content,
            Transport = transport,
            NextHop = "mx.test",
            Recipients = [new DeliveryRecipient(0, recipient, address)],
            Activated = DateTimeOffset.UnixEpoch,
            Started = DateTimeOffset.UnixEpoch,
        };
    }

    public HostLookup FindUser(string name, out UserEntry? user)
    {
        user = null;
        return UsersUnavailable ? HostLookup.Unavailable
            : _users.TryGetValue(name, out user) ? HostLookup.Found : HostLookup.NotFound;
    }

    public HostLookup FindUser(uint uid, out UserEntry? user)
    {
        user = _users.Values.FirstOrDefault(one => one.Uid == uid);
        return user is null ? HostLookup.NotFound : HostLookup.Found;
    }

    public HostLookup FindGroup(string name, out uint gid)
    {
        gid = 0;
        return HostLookup.NotFound;
    }

    public void Dispose()
    {
        _workers.Dispose();
        Tables.Dispose();
        Directory.Delete(Root, true);
    }
}
