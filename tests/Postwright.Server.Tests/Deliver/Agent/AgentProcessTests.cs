using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Postwright.Core.Posix;
using Postwright.Server.Deliver;
using Postwright.Server.Deliver.Agent;
using Postwright.Server.Queue;
using Postwright.Server.Tests.Deliver.Local;

namespace Postwright.Server.Tests.Deliver.Agent;

/// <summary>Mail's side and the agent's over real sockets, with real deliveries behind them.</summary>
public sealed partial class AgentProcessTests : IDisposable
{
    private readonly DeliveryRig _rig = new();
    private readonly DeliveryWorkers _workers = new("mail", 8);
    private readonly AgentServer _server;
    private readonly AgentClient _client;
    private int _connections;

    public AgentProcessTests()
    {
        _server = new AgentServer(_rig.Services("recipient_delimiter = +\nalias_maps = inline:{ { team = alice, bob }, { owner-team = boss } }"), Identity.EffectiveUser, _rig.Log);
        _client = new AgentClient(Connect, _workers, _rig.Log);
    }

    public void Dispose()
    {
        _client.Dispose();
        _server.Dispose();
        _workers.Dispose();
        _rig.Dispose();
    }

    private FrameSocket Connect()
    {
        Interlocked.Increment(ref _connections);
        (FrameSocket ours, FrameSocket theirs) = FrameSocket.Pair();
        _server.Start(theirs);
        return ours;
    }

    private async Task<RecipientResult> Deliver(string address, MessageContent content, string transport = "local")
        => Assert.Single(await _client.DeliverAsync(DeliveryRig.Request(address, content, transport: transport), TestContext.Current.CancellationToken));

    private static MemoryContent Text(string text) => new(Encoding.ASCII.GetBytes(text));

    [Fact]
    public async Task A_message_goes_through_the_agent_and_the_connection_is_kept()
    {
        for (int i = 0; i < 3; i++)
        {
            RecipientResult result = await Deliver("alice@example.com", Text("Subject: x\r\n\r\nbody\r\n"));
            Assert.Equal((DeliveryStatus.Sent, "delivered to mailbox", "local"), (result.Status, result.Reason, result.Relay));
        }

        Assert.Equal(1, _connections);
    }

    [Fact]
    public async Task An_agent_that_ends_takes_no_connection_any_more_and_serves_those_that_it_has()
    {
        Assert.Equal(DeliveryStatus.Sent, (await Deliver("alice@example.com", Text("Subject: x\r\n\r\nbody\r\n"))).Status);
        Task finished = _server.FinishAsync();
        Assert.Equal(DeliveryStatus.Sent, (await Deliver("alice@example.com", Text("Subject: y\r\n\r\nbody\r\n"))).Status);
        Assert.Equal(1, _connections);
        Assert.False(finished.IsCompleted);
        using (AgentClient another = new(Connect, _workers, _rig.Log))
        {
            IReadOnlyList<RecipientResult> results = await another.DeliverAsync(DeliveryRig.Request("bob@example.com", Text("Subject: z\r\n\r\nbody\r\n")), TestContext.Current.CancellationToken);
            Assert.Equal(DeliveryStatus.Deferred, Assert.Single(results).Status);
        }

        _client.Dispose();
        await finished.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        Assert.False(File.Exists(Path.Combine(_rig.Spool, "bob")));
    }

    [Fact]
    public async Task Large_content_goes_as_a_descriptor()
    {
        string body = "Subject: x\r\n\r\n" + string.Concat(Enumerable.Range(0, 60_000).Select(i => $"line {i}\r\n"));
        Assert.Equal("delivered to mailbox", (await Deliver("alice@example.com", Text(body))).Reason);
        Assert.Equal("delivered to mailbox", (await Deliver("bob@example.com", new FileLikeContent(Encoding.ASCII.GetBytes(body)))).Reason);
        foreach (string user in new[] { "alice", "bob" })
        {
            string text = await File.ReadAllTextAsync(Path.Combine(_rig.Spool, user), TestContext.Current.CancellationToken);
            Assert.EndsWith(body.Replace("\r\n", "\n", StringComparison.Ordinal) + "\n", text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_file_of_the_spool_is_handed_over_as_it_is()
    {
        string path = Path.Combine(_rig.Root, "content");
        await File.WriteAllTextAsync(path, "garbage" + "Subject: x\r\n\r\nfrom a file\r\n", TestContext.Current.CancellationToken);
        using SafeFileHandle file = File.OpenHandle(path);
        Assert.Equal("delivered to mailbox", (await Deliver("alice@example.com", new SpoolFile(file, 7, 27))).Reason);
        string text = await File.ReadAllTextAsync(Path.Combine(_rig.Spool, "alice"), TestContext.Current.CancellationToken);
        Assert.EndsWith("\nSubject: x\n\nfrom a file\n\n", text, StringComparison.Ordinal);
        Assert.False(file.IsClosed);
    }

    [Fact]
    public async Task An_expansion_comes_back_whole()
    {
        RecipientResult result = await Deliver("team@example.com", Text("Subject: x\r\n\r\n"));
        Assert.Equal((DeliveryStatus.Expanded, "owner-team@example.com"), (result.Status, result.NewSender));
        Assert.Equal(["alice@example.com", "bob@example.com"], result.Into.Select(one => one.Address));
        Assert.Equal("o=team@example.com", result.Into[0].Via);
    }

    [Fact]
    public async Task Deliveries_at_once_each_have_their_own_identity()
    {
        await Task.WhenAll(Enumerable.Range(0, 60).Select(i => Deliver(i % 2 == 0 ? "alice@example.com" : "bob@example.com", Text("Subject: x\r\n\r\n"))));
        foreach ((string user, uint uid) in new[] { ("alice", 1501u), ("bob", 1502u) })
        {
            DeliveryFile.Stat(Path.Combine(_rig.Spool, user), out FileFacts facts);
            Assert.Equal(DeliveryRig.Number(uid), facts.Uid);
        }

        Assert.InRange(_connections, 1, 8);
    }

    [Fact]
    public async Task Without_an_agent_mail_waits_and_with_a_new_one_it_goes()
    {
        Assert.Equal(DeliveryStatus.Sent, (await Deliver("alice@example.com", Text("Subject: x\r\n\r\n"))).Status);
        _server.Dispose();
        RecipientResult lost = await Deliver("alice@example.com", Text("Subject: x\r\n\r\n"));
        Assert.Equal((DeliveryStatus.Deferred, "4.3.0", "mail transport unavailable"), (lost.Status, lost.Dsn, lost.Reason));
    }

    [Fact]
    public async Task The_tables_before_a_reload_are_closed_when_the_last_delivery_with_them_is_done()
    {
        using SlowService slow = new();
        Tables before = new(), after = new();
        _server.Replace(new AgentServices(new Dictionary<string, IDeliveryService> { ["local"] = slow }, _rig.Log, before));
        Task<RecipientResult> first = Deliver("alice@example.com", Text("Subject: x\r\n\r\n"));
        Assert.True(slow.Begun.Wait(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken));
        _server.Replace(new AgentServices(new Dictionary<string, IDeliveryService>(), _rig.Log, after));
        Assert.False(before.AreClosed);

        slow.End.Set();
        Assert.Equal("slowly", (await first).Reason);
        Assert.True(before.AreClosed);
        Assert.Equal(DeliveryStatus.Deferred, (await Deliver("alice@example.com", Text("Subject: x\r\n\r\n"))).Status);
        Assert.False(after.AreClosed);
    }

    private sealed class Tables : IDisposable
    {
        public bool AreClosed { get; private set; }

        public void Dispose() => AreClosed = true;
    }

    private sealed class SlowService : IDeliveryService, IDisposable
    {
        public ManualResetEventSlim Begun { get; } = new();

        public ManualResetEventSlim End { get; } = new();

        public RecipientResult Deliver(AgentRequest request, AgentRecipient recipient, CancellationToken cancellationToken)
        {
            Begun.Set();
            End.Wait(TimeSpan.FromSeconds(60), CancellationToken.None);
            return new RecipientResult(recipient.Index, DeliveryStatus.Sent, "2.0.0", "slowly", "local");
        }

        public void Dispose()
        {
            Begun.Dispose();
            End.Dispose();
        }
    }

    [Fact]
    public async Task A_delivery_to_more_recipients_than_a_frame_holds_is_several_requests()
    {
        DeliveryRequest request = Many(12_000, "");
        IReadOnlyList<RecipientResult> results = await _client.DeliverAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(request.Recipients.Select(recipient => recipient.Index), results.Select(result => result.Index));
        Assert.Equal([(DeliveryStatus.Bounced, "5.1.1")], results.Select(result => (result.Status, result.Dsn)).Distinct());
        Assert.Equal(1, _connections);
    }

    [Fact]
    public async Task Recipients_whose_rows_are_longer_than_a_frame_are_asked_for_in_several_requests()
    {
        DeliveryRequest request = Many(600, new string('x', 10_000));
        IReadOnlyList<RecipientResult> results = await _client.DeliverAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(600, results.Count);
        Assert.Equal([(DeliveryStatus.Bounced, "5.1.1")], results.Select(result => (result.Status, result.Dsn)).Distinct());
        Assert.Equal(1, _connections);
    }

    private static DeliveryRequest Many(int count, string via)
    {
        DeliveryRequest one = DeliveryRig.Request("nobody@example.com", Text("Subject: x\r\n\r\n"));
        return one with
        {
            Recipients = [.. Enumerable.Range(0, count).Select(i => new DeliveryRecipient(i, one.Recipients[0].Recipient with { Via = via }, $"nobody{i}@example.com"))],
        };
    }

    [Fact]
    public async Task An_unknown_service_is_deferred()
    {
        RecipientResult result = await Deliver("alice@example.com", Text("Subject: x\r\n\r\n"), "evil");
        Assert.Equal((DeliveryStatus.Deferred, "4.3.0"), (result.Status, result.Dsn));
    }

    [Fact]
    public async Task The_socket_in_the_file_system_serves_only_the_allowed_user()
    {
        string path = Path.Combine(_rig.Root, "agent");
        int listener = FrameSocket.Listen(path, 0x1B6);
        var thread = new Thread(() => _server.Run(listener)) { IsBackground = true };
        thread.Start();
        using var client = new AgentClient(() => FrameSocket.Connect(path), _workers, _rig.Log);
        RecipientResult result = Assert.Single(await client.DeliverAsync(
            DeliveryRig.Request("alice@example.com", Text("Subject: x\r\n\r\n")), TestContext.Current.CancellationToken));
        Assert.Equal("delivered to mailbox", result.Reason);
        _server.Dispose();
        Assert.True(thread.Join(TimeSpan.FromSeconds(60)));
    }

    [Fact]
    public async Task A_listening_socket_that_another_process_made_non_blocking_is_waited_on()
    {
        string path = Path.Combine(_rig.Root, "agent");
        int listener = FrameSocket.Listen(path, 0x180);
        using var shared = new System.Net.Sockets.Socket(new System.Net.Sockets.SafeSocketHandle(listener, false));
        shared.Blocking = false;
        var thread = new Thread(() => _server.Run(listener)) { IsBackground = true };
        thread.Start();
        using var client = new AgentClient(() => FrameSocket.Connect(path), _workers, _rig.Log);
        RecipientResult result = Assert.Single(await client.DeliverAsync(
            DeliveryRig.Request("alice@example.com", Text("Subject: x\r\n\r\n")), TestContext.Current.CancellationToken));
        Assert.Equal("delivered to mailbox", result.Reason);
        _server.Dispose();
        Assert.True(thread.Join(TimeSpan.FromSeconds(60)));
    }

    [Fact]
    public async Task Neither_side_talks_to_a_third_user()
    {
        Assert.SkipUnless(DeliveryRig.IsRoot, "only root can be another user");
        (FrameSocket ours, FrameSocket theirs) = PairOf(65534);
        _server.Start(theirs);
        Assert.Null(ours.Receive(1000, out _));
        Assert.Contains(_rig.Lines.All, static line => line.EndsWith("agent: connection from user 65534 refused", StringComparison.Ordinal));
        ours.Dispose();

        (ours, theirs) = PairOf(65534);
        using (theirs)
        using (var client = new AgentClient(() => ours, _workers, _rig.Log))
        {
            RecipientResult result = Assert.Single(await client.DeliverAsync(
                DeliveryRig.Request("alice@example.com", Text("Subject: x\r\n\r\n")), TestContext.Current.CancellationToken)
                .AsTask().WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken));
            Assert.Equal((DeliveryStatus.Deferred, "4.3.0"), (result.Status, result.Dsn));
            Assert.Null(theirs.Receive(1000, out _));
        }
    }

    // The kernel notes who made a pair; on a thread of its own, the effective user changes for that thread alone.
    private static (FrameSocket First, FrameSocket Second) PairOf(uint user)
    {
        (FrameSocket First, FrameSocket Second) pair = default;
        nint status = -1;
        var thread = new Thread(() =>
        {
            status = syscall(SetResUidCall, -1, (nint)user, -1);
            pair = FrameSocket.Pair();
        });
        thread.Start();
        thread.Join();
        Assert.Equal(0, status);
        return pair;
    }

    private static nint SetResUidCall => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 147 : 117;

    [LibraryImport("libc")]
    private static partial nint syscall(nint number, nint real, nint effective, nint saved);

    [Fact]
    public void A_peer_that_sends_nonsense_is_cut_off()
    {
        foreach (byte[] frame in new[] { [], new byte[] { 9 }, new byte[] { 2, 1, 255, 255, 255, 255 }, new byte[] { 2, 2, 0, 0, 0, 0 }, TableFrames.Question("ldap:x", "k"), TableFrames.Answer(Core.Tables.LookupResult.NotFound), new byte[2000] })
        {
            using FrameSocket ours = Connect();
            ours.Send(frame);
            Assert.Null(ours.Receive(1000, out _));
        }
    }

    [Fact]
    public void A_frame_above_the_limit_is_not_even_received()
    {
        (FrameSocket ours, FrameSocket theirs) = FrameSocket.Pair();
        using (ours)
        using (theirs)
        {
            ours.Send(new byte[100]);
            Assert.Throws<IOException>(() => theirs.Receive(99, out _));
        }
    }

    [Fact]
    public void A_request_cut_at_any_byte_is_malformed_and_a_whole_one_is_what_was_sent()
    {
        using var content = new MemoryAgentContent("Subject: x\r\n\r\n"u8.ToArray());
        AgentRequest request = AgentRequest.From(DeliveryRig.Request("ü@example.com", Text("Subject: x\r\n\r\n"), via: "a=x@y m=|c"), content);
        byte[] frame = AgentFrames.Encode(request, "Subject: x\r\n\r\n"u8, false, 0);
        AgentRequest back = AgentFrames.Decode(frame, null);
        Assert.Equal((request.Service, request.QueueId, request.Sender, request.Origin, "id+1"), (back.Service, back.QueueId, back.Sender, back.Origin, back.EnvelopeId));
        Assert.Equal(request.Recipients, back.Recipients);
        for (int length = 0; length < frame.Length; length++)
        {
            byte[] cut = frame[..length];
            Assert.Throws<InvalidDataException>(() => AgentFrames.Decode(cut, null));
        }

        Assert.Throws<InvalidDataException>(() => AgentFrames.Decode([.. frame, 0], null));
    }

    [Fact]
    public void An_answer_cut_at_any_byte_is_malformed_and_a_whole_one_is_what_was_sent()
    {
        RecipientResult[] results =
        [
            new(3, DeliveryStatus.Bounced, "5.1.1", "unknown user: \"x\"", "local") { LoggedAddress = "x@y" },
            new(4, DeliveryStatus.Expanded, "2.0.0", "alias expanded", "local") { NewSender = "", Into = [new("a@b", "c@d", DsnNotify.Never, "rfc822;x") { Via = "a=c" }] },
        ];
        byte[] frame = AgentFrames.Encode(results);
        IReadOnlyList<RecipientResult> back = AgentFrames.DecodeAnswer(frame);
        Assert.Equal(results[0], back[0] with { Into = results[0].Into });
        Assert.Equal(results[1].Into, back[1].Into);
        Assert.Equal("", back[1].NewSender);
        for (int length = 0; length < frame.Length; length++)
        {
            byte[] cut = frame[..length];
            Assert.Throws<InvalidDataException>(() => AgentFrames.DecodeAnswer(cut));
        }
    }

    [Fact]
    public void Random_changes_of_a_request_never_do_anything_but_fail_or_decode()
    {
        using var content = new MemoryAgentContent("Subject: x\r\n\r\n"u8.ToArray());
        byte[] frame = AgentFrames.Encode(AgentRequest.From(DeliveryRig.Request("a@b", Text("x")), content), "Subject: x\r\n\r\n"u8, false, 0);
        var random = new Random(1);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] changed = [.. frame];
            for (int n = random.Next(1, 4); n > 0; n--)
            {
                changed[random.Next(changed.Length)] = (byte)random.Next(256);
            }

            try
            {
                AgentFrames.Decode(changed, null);
            }
            catch (InvalidDataException)
            {
            }
        }
    }

    [Fact]
    public void A_pipe_in_place_of_the_content_is_refused()
    {
        using var content = new MemoryAgentContent("Subject: x\r\n\r\n"u8.ToArray());
        byte[] frame = AgentFrames.Encode(AgentRequest.From(DeliveryRig.Request("a@b", Text("x")), content), default, true, 0);
        using FrameSocket ours = Connect();
        using var pipe = new System.IO.Pipes.AnonymousPipeServerStream();
        using var handle = new SafeFileHandle(pipe.SafePipeHandle.DangerousGetHandle(), false);
        ours.Send(frame, handle);
        Assert.Null(ours.Receive(1000, out _));
    }

    private sealed class SpoolFile(SafeFileHandle file, long start, long length) : MessageContent
    {
        public override long Length => length;

        public override bool TryGetMemory(out ReadOnlyMemory<byte> bytes)
        {
            bytes = default;
            return false;
        }

        public override bool TryGetFile([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out SafeFileHandle? handle, out long offset)
        {
            (handle, offset) = (file, start);
            return true;
        }

        public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
            => throw new IOException("not to be read here");
    }
}
