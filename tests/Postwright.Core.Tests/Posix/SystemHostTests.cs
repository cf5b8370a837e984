using Postwright.Core.Posix;

namespace Postwright.Core.Tests.Posix;

public sealed class SystemHostTests
{
    [Theory]
    [InlineData("passwd: files systemd\ngroup: files\nhosts: files dns\n", false)]
    [InlineData("passwd:\tcompat # and no sss\n", false)]
    [InlineData("passwd: files [NOTFOUND=return]\n", false)]
    [InlineData("", false)]
    [InlineData("passwd: files sss\ngroup: files\n", true)]
    [InlineData("passwd: files\ngroup: files ldap\n", true)]
    public void Users_that_are_not_in_local_files_are_asked_for_on_other_threads(string file, bool slow)
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, file);
            Assert.Equal(slow, SystemHost.NamesSlowSources(path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_machine_without_a_switch_file_asks_local_files() => Assert.False(SystemHost.NamesSlowSources("/nonexistent/nsswitch.conf"));
}
