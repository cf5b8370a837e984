using Postwright.Server.Deliver;
using Postwright.Server.Deliver.Agent;

namespace Postwright.Server.Tests.Deliver;

public sealed class RecipientResultTests
{
    private static readonly string Long = string.Concat(Enumerable.Repeat("😀", 50_000));

    [Fact]
    public void A_result_keeps_the_beginning_of_a_long_text_in_whole_characters()
    {
        RecipientResult result = new RecipientResult(0, DeliveryStatus.Deferred, "4.2.1", "x" + Long, "local") { Diagnostic = "x" + Long };
        Assert.InRange(result.Reason.Length, 1000, 4096);
        Assert.Equal(result.Reason, result.Diagnostic);
        Assert.StartsWith(result.Reason, "x" + Long, StringComparison.Ordinal);
        Assert.False(char.IsHighSurrogate(result.Reason[^1]));
        Assert.Equal(result.Reason, (result with { Reason = "x" + Long }).Reason);
    }

    [Fact]
    public void What_a_command_printed_is_bounded_where_mail_reads_it()
    {
        byte[] frame = AgentFrames.Encode([new RecipientResult(0, DeliveryStatus.Bounced, "5.3.0", Long, "local")]);
        Assert.InRange(Assert.Single(AgentFrames.DecodeAnswer(frame)).Reason.Length, 1000, 4096);
    }
}
