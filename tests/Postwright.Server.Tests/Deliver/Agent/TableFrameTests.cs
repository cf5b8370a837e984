using Microsoft.Win32.SafeHandles;
using Postwright.Core.Configuration;
using Postwright.Core.Posix;
using Postwright.Core.Tables;
using Postwright.Core.Tables.Remote;
using Postwright.Server.Deliver;
using Postwright.Server.Deliver.Agent;
using Postwright.Server.Queue;
using Postwright.Server.Tests.Deliver.Local;

namespace Postwright.Server.Tests.Deliver.Agent;

/// <summary>The agent against a mail process that a test plays: whatever that says, a lookup without an answer is never "not found".</summary>
public sealed class TableFrameTests : IDisposable
{
    private const string Table = "ldap:/nonexistent.cf";
    private readonly DeliveryRig _rig = new();
    private readonly List<IDisposable> _open = [];
    private readonly AgentServer _server;

    public TableFrameTests() => _server = Serve(TimeSpan.FromMinutes(2));

    private static byte[][] Nonsense =>
    [
        [],
        [9],
        [2, 4],
        [2, 4, 1, 255, 255, 255, 255],
        [2, 4, 3, 0, 0, 0, 0],
        [2, 4, 0, 0, 0, 0, 1, 65],
        [2, 4, 0, 0, 0, 0, 0, 0],
        [2, 3, 0, 0, 0, 0],
        TableFrames.Question(Table, "alice"),
        new byte[TableFrames.AnswerLimit + 1],
    ];

    public void Dispose()
    {
        _open.ForEach(static one => one.Dispose());
        _rig.Dispose();
    }

    [Fact]
    public void An_answer_is_used_and_the_connection_is_kept()
    {
        using FrameSocket mail = Connect();
        foreach ((LookupResult answer, DeliveryStatus status) in ((LookupResult, DeliveryStatus)[])
            [(LookupResult.Found("bob"), DeliveryStatus.Expanded), (LookupResult.NotFound, DeliveryStatus.Sent), (LookupResult.TemporaryError("down"), DeliveryStatus.Deferred)])
        {
            Send(mail);
            Assert.Equal((Table, "alice"), TableFrames.ReadQuestion(Receive(mail)!));
            mail.Send(TableFrames.Answer(answer));
            Assert.Equal(status, Result(mail).Status);
        }
    }

    [Fact]
    public void Nonsense_defers_with_one_warning_and_ends_the_connection_after_the_results()
    {
        int warnings = 0;
        foreach (byte[] answer in Nonsense)
        {
            using FrameSocket mail = Connect();
            Send(mail);
            Receive(mail);
            Offer(mail, answer);
            Deferred(mail);
            Assert.Equal(++warnings, Warnings.Count);
        }
    }

    [Fact]
    public void A_descriptor_that_comes_with_an_answer_is_closed_and_defers()
    {
        using FrameSocket mail = Connect();
        using SafeFileHandle file = File.OpenHandle("/dev/null");
        Send(mail);
        Receive(mail);
        mail.Send(TableFrames.Answer(LookupResult.NotFound), file);
        Deferred(mail);
    }

    [Fact]
    public void A_mail_process_that_does_not_answer_in_time_defers()
    {
        using FrameSocket mail = Connect(Serve(TimeSpan.FromMilliseconds(700)));
        Send(mail);
        Receive(mail);
        Deferred(mail);
        Assert.EndsWith("mail process: no answer in time", Assert.Single(Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_mail_process_that_ends_before_its_answer_hurts_nobody_else()
    {
        FrameSocket mail = Connect();
        Send(mail);
        Receive(mail);
        mail.Dispose();
        await _server.UnusedAsync().WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        Assert.Single(Warnings);
        Assert.False(File.Exists(Path.Combine(_rig.Spool, "alice")));
        An_answer_is_used_and_the_connection_is_kept();
    }

    [Fact]
    public void Questions_and_answers_are_what_was_sent_and_cut_at_any_byte_malformed()
    {
        (string, string) question = ("ldap:/a b{ttl=1s}", "ü\udce9@x");
        byte[] frame = TableFrames.Question(question.Item1, question.Item2);
        Assert.Equal(question, TableFrames.ReadQuestion(frame));
        CutAnywhere(frame, static cut => TableFrames.ReadQuestion(cut));
        foreach (LookupResult result in (LookupResult[])[LookupResult.Found("\udce9/ü"), LookupResult.Found(""), LookupResult.NotFound, LookupResult.TemporaryError("why")])
        {
            byte[] answer = TableFrames.Answer(result);
            Assert.Equal(result, TableFrames.ReadAnswer(answer));
            CutAnywhere(answer, static cut => TableFrames.ReadAnswer(cut));
        }
    }

    [Fact]
    public void A_question_beyond_the_limit_is_malformed() =>
        Assert.Throws<InvalidDataException>(static () => TableFrames.ReadQuestion(TableFrames.Question(Table, new string('a', TableFrames.QuestionLimit))));

    private List<string> Warnings => [.. _rig.Lines.All.Where(static line => line.Contains($"warning: table {Table} lookup error: ", StringComparison.Ordinal))];

    private static void CutAnywhere(byte[] frame, Action<byte[]> read)
    {
        for (int length = 0; length < frame.Length; length++)
        {
            byte[] cut = frame[..length];
            Assert.Throws<InvalidDataException>(() => read(cut));
        }

        Assert.Throws<InvalidDataException>(() => read([.. frame, 0]));
    }

    private static void Send(FrameSocket mail)
    {
        using var content = new MemoryAgentContent("Subject: x\r\n\r\n"u8.ToArray());
        DeliveryRequest request = DeliveryRig.Request("alice@example.com", new MemoryContent("Subject: x\r\n\r\n"u8.ToArray()));
        mail.Send(AgentFrames.Encode(AgentRequest.From(request, content), "Subject: x\r\n\r\n"u8, false, 0));
    }

    // The agent closes the connection without reading a frame that is too long.
    private static void Offer(FrameSocket mail, byte[] answer)
    {
        try
        {
            mail.Send(answer);
        }
        catch (IOException)
        {
        }
    }

    private static byte[]? Receive(FrameSocket mail)
    {
        long begun = TimeProvider.System.GetTimestamp();
        return mail.Receive(10_000, () => TimeSpan.FromSeconds(60) - TimeProvider.System.GetElapsedTime(begun), out _);
    }

    private static RecipientResult Result(FrameSocket mail) => Assert.Single(AgentFrames.DecodeAnswer(Receive(mail)!));

    private static void Deferred(FrameSocket mail)
    {
        RecipientResult result = Result(mail);
        Assert.Equal((DeliveryStatus.Deferred, "4.3.0", "alias database unavailable"), (result.Status, result.Dsn, result.Reason));
        Assert.Null(Receive(mail));
    }

    /// <summary>An agent that waits so long for mail's answers.</summary>
    private AgentServer Serve(TimeSpan limit)
    {
        var questions = new TableQuestions(_rig.Log, TimeProvider.System, limit);
        var tables = new TableRegistry(_rig.Log, TimeProvider.System, remote: new RemoteTables(MailConfiguration.FromText(""), questions.Ask));
        var server = new AgentServer(_rig.Services($"alias_maps = {Table}\nowner_request_special = no\n", tables: tables), Identity.EffectiveUser, _rig.Log);
        _open.AddRange([server, tables]);
        return server;
    }

    private FrameSocket Connect(AgentServer? server = null)
    {
        (FrameSocket ours, FrameSocket theirs) = FrameSocket.Pair();
        (server ?? _server).Start(theirs);
        return ours;
    }
}
